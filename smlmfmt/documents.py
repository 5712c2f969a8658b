"""What programs note beside their tables, in YAML or JSON, as plain JSON values."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from smlmfmt.errors import HeaderError, SizeLimitError

__all__ = ["json_documents", "plain", "yaml_documents"]

DOCUMENT_SIZE_MAX = 1 << 20
DOCUMENT_DEPTH_MAX = 32
VALUE_COUNT_MAX = 1 << 18
DOCUMENT_COUNT_MAX = 1024
NUMBER_SIZE_MAX = 64
ARRAY_SIZE_MAX = 64

_INTEGER_MAX = 1 << 63


def yaml_documents(data: bytes, *, name: str) -> list[dict[str, Any]]:
    """Return the mappings among the documents of a YAML file.

    Nothing in it is ever run: a Python object becomes the values it was to be made of.

    Raises:
        HeaderError: It is not YAML.
        SizeLimitError: It is larger or deeper than a reader grants.
    """
    if len(data) > DOCUMENT_SIZE_MAX:
        raise SizeLimitError(f"{name}: {len(data)} B of YAML, {DOCUMENT_SIZE_MAX} B allowed")
    import yaml  # noqa: PLC0415 - needed by few.

    documents = []
    try:
        text = data.decode("utf-8-sig", "replace")
        for document in yaml.load_all(text, _loader()):
            documents.append(document)
            if len(documents) > DOCUMENT_COUNT_MAX:
                break
    except RecursionError as error:
        raise SizeLimitError(f"{name}: nested deeper than {DOCUMENT_DEPTH_MAX}") from error
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError) as error:
        # Dates that are none and numbers too long are the ValueErrors.
        raise HeaderError(f"{name}: not YAML: {_first_line(error)}") from error
    return _mappings(documents, name=name)


def json_documents(text: str, *, name: str) -> list[dict[str, Any]]:
    """Return the mappings in a JSON list of documents, or the one mapping that it is.

    Raises:
        HeaderError: It is not JSON.
        SizeLimitError: It is deeper than a reader grants.
    """
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise SizeLimitError(f"{name}: nested deeper than {DOCUMENT_DEPTH_MAX}") from error
    except ValueError as error:
        raise HeaderError(f"{name}: not JSON: {_first_line(error)}") from error
    return _mappings(found if isinstance(found, list) else [found], name=name)


def plain(value: Any, *, name: str = "") -> Any:
    """Return a value as JSON can say it: no NaN, no dates, no bytes, keys that are texts.

    Arrays of up to ARRAY_SIZE_MAX values become lists, larger ones a text with their shape.

    Raises:
        SizeLimitError: It is deeper or has more values than a reader grants (an alias in YAML can
            stand for any number of them).
    """
    return _Plain(name).of(value, 0)


@functools.cache
def _loader() -> Any:
    """Return safe YAML in which Python's objects are the plain values that they are made of."""
    import yaml  # noqa: PLC0415 - needed by few.

    class Loader(yaml.SafeLoader):
        """What `yaml.SafeLoader` knows, less what takes time or memory out of proportion."""

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            # Merging mappings into mappings doubles them at each step.
            for key, _ in node.value:
                if key.tag == "tag:yaml.org,2002:merge":
                    key.tag = "tag:yaml.org,2002:str"

        def construct_yaml_int(self, node: yaml.ScalarNode) -> Any:
            # To count in sixties (1:30:00) takes time that grows with the square of the length.
            is_short = len(node.value) <= NUMBER_SIZE_MAX
            return super().construct_yaml_int(node) if is_short else node.value

        def construct_yaml_float(self, node: yaml.ScalarNode) -> Any:
            is_short = len(node.value) <= NUMBER_SIZE_MAX
            return super().construct_yaml_float(node) if is_short else node.value

    def construct(loader: Loader, _suffix: str, node: yaml.Node) -> Any:
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        assert isinstance(node, yaml.ScalarNode)
        return loader.construct_scalar(node)

    Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_yaml_int)
    Loader.add_constructor("tag:yaml.org,2002:float", Loader.construct_yaml_float)
    Loader.add_multi_constructor("tag:yaml.org,2002:python/", construct)
    return Loader


class _Plain:
    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def of(self, value: Any, depth: int) -> Any:
        self._count += 1
        if depth > DOCUMENT_DEPTH_MAX or self._count > VALUE_COUNT_MAX:
            raise SizeLimitError(
                f"{self._name}: nested deeper than {DOCUMENT_DEPTH_MAX}, or more than"
                f" {VALUE_COUNT_MAX} values"
            )
        if isinstance(value, Mapping):
            return {_text(key): self.of(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.of(item, depth + 1) for item in value]
        if isinstance(value, np.ndarray):
            return self.of(_array(value), depth)
        return self._single(value.item() if isinstance(value, np.generic) else value)

    def _single(self, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return value if abs(value) <= _INTEGER_MAX else float(min(value, 1 << 1000))
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        return _text(value)


def _mappings(documents: list[Any], *, name: str) -> list[dict[str, Any]]:
    found = plain(documents, name=name)
    return [document for document in found if isinstance(document, dict)]


def _array(values: np.ndarray[Any, Any]) -> Any:
    """Return a small array as lists, one of a single value as that, a large one as its shape."""
    is_plain = values.dtype.kind in "biufSU"
    if values.size > ARRAY_SIZE_MAX or not is_plain:
        return f"{values.dtype} array of shape {values.shape}"
    return values.reshape(-1)[0] if values.size == 1 else np.squeeze(values).tolist()


def _text(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.encode("utf-8", "replace").decode()  # Lone surrogates cannot be written.


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200]
