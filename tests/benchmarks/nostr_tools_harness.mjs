// The initiator's side of the Negentropy harness language (see tests/interop), spoken by the
// npm package nostr-tools. Its argument: the directory with node_modules.
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// The package exports no path to this module by itself.
const path = resolve(process.argv[2], "node_modules/nostr-tools/lib/esm/nip77.js");
const { Negentropy, NegentropyStorageVector } = await import(pathToFileURL(path));

const storage = new NegentropyStorageVector();
// The package has no way to say "no limit".
const frameLimit = Number(process.env.FRAMESIZELIMIT || 0) || 2 ** 40;
let initiator;

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const [command, first, second] = line.split(",");
  if (command === "item") storage.insert(Number(first), second);
  else if (command === "seal") storage.seal();
  else if (command === "initiate") {
    initiator = new Negentropy(storage, frameLimit);
    process.stdout.write(`msg,${initiator.initiate()}\n`);
  } else if (command === "msg") {
    const found = [];
    const question = initiator.reconcile(
      first,
      (id) => found.push(`have,${id}\n`),
      (id) => found.push(`need,${id}\n`),
    );
    process.stdout.write(found.join("") + (question === null ? "done\n" : `msg,${question}\n`));
  }
}
