// Of ATOF a user of the library sees the identifiers of events only: the rest of it is `package`. Of AgentEvents the values that calls
// take and return: JSON, model requests, marks, errors. Of NATSTransport how to prove who one is, and encryption.
@_exported public import AgentEvents

@_exported public import struct ATOF.EventUUID
@_exported public import struct NATSTransport.NATSOptions
