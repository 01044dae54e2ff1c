// Of ATOF a user of the library sees the identifiers of events only: the rest of it is `package`.
@_exported public import struct ATOF.EventUUID
