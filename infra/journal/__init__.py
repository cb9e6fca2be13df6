"""The log's formats (C2SP: tlog-tiles, signed note, checkpoint, tlog-proof; RFC 6962 tree): bytes in, bytes out, no I/O."""
