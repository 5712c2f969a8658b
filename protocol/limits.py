"""Every size, count and time limit of the protocol, in one screen (protocol.md 10)."""

from typing import Final

PROTOCOL_VERSION: Final = 1

# Records
PAYLOAD_SIZE_MAX: Final = 1 << 20  # bytes of one payload
INTEGER_MAX: Final = 2**53  # what every JSON implementation holds exactly
NESTING_MAX: Final = 16  # arrays and objects inside one another
CLOCK_SKEW_S: Final = 600  # how far ahead of our clock `issued` may lie
REVISION_MAX: Final = 1_000_000
SIGNATURES_MAX: Final = 17  # every key of an identity, and the one that authorises it

# Identities
KEYS_MAX: Final = 16
IDENTITY_REVISION_MAX: Final = 256
ONLINE_REVISION_MAX: Final = 240  # later identity revisions take a recovery key

IDENTITY_RECORDS_MAX: Final = 512  # of one publisher with all forks; recovery keys get as many more

# Texts, in Unicode characters
NAME_LENGTH_MAX: Final = 300
LINE_LENGTH_MAX: Final = 1_000
DESCRIPTION_LENGTH_MAX: Final = 20_000
DOCUMENTATION_LENGTH_MAX: Final = 200_000
URL_LENGTH_MAX: Final = 2_048
TERM_LENGTH_MAX: Final = 100
FILE_NAME_SIZE_MAX: Final = 255  # bytes of UTF-8, what file systems take

# Datasets
AUTHORS_MAX: Final = 500
TAGS_MAX: Final = 200
CITATIONS_MAX: Final = 100
LINKS_MAX: Final = 100
SAMPLES_MAX: Final = 1_000
FILES_MAX: Final = 1_000  # of one sample
TABLES_MAX: Final = 64  # of one file
COLUMNS_MAX: Final = 256  # of one table
BLOB_SIZE_MAX: Final = 1 << 44  # 16 TiB
THUMBNAIL_SIZE_MAX: Final = 256 << 10
VIEWS_MAX: Final = 64
STATE_LENGTH_MAX: Final = 2_048  # of one saved view
URLS_MAX: Final = 16  # of one node

# Quotas a node grants each publisher unless its settings say otherwise
PUBLISHER_RECORDS_MAX: Final = 250_000
PUBLISHER_BYTES_MAX: Final = 2 << 30

# Heads
HEAD_LIFETIME_S: Final = 14 * 86_400  # what we sign
HEAD_LIFETIME_MAX_S: Final = 400 * 86_400  # what we believe

# Messages
MESSAGE_SIZE_MAX: Final = 16 << 20
ENVELOPE_SIZE_MAX: Final = PAYLOAD_SIZE_MAX + 8_192
NODE_DOCUMENT_SIZE_MAX: Final = 4 << 20
HEADS_MAX: Final = 10_000
RECORD_IDS_MAX: Final = 1_000  # of one request for records, or one event
OFFER_MAX: Final = 1_000  # envelopes of one offer
PEERS_MAX: Final = 1_000
DETAIL_LENGTH_MAX: Final = 1_000
EVENT_SIZE_MAX: Final = 256 << 10
NONCE_SIZE_MIN: Final = 16
NONCE_SIZE_MAX: Final = 32

# Request signatures (RFC 9421)
REQUEST_TAG: Final = "locmesh-v1"
REQUEST_WINDOW_S: Final = 300
