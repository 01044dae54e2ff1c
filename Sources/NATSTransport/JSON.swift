internal import Foundation

/// JSON of the JetStream API, where speed does not matter. Its keys have underscores where our names have capitals.
enum JSON {
    static func decode<T: Decodable>(_ type: T.Type, from bytes: [UInt8], about: String) throws(NATSError) -> T {
        do {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            return try decoder.decode(type, from: Data(bytes))
        } catch {
            throw NATSError(.protocolViolation, "The server's answer about \(about) cannot be understood.")
        }
    }

    static func encode(_ value: some Encodable) throws(NATSError) -> [UInt8] {
        do {
            let encoder = JSONEncoder()
            encoder.keyEncodingStrategy = .convertToSnakeCase
            return [UInt8](try encoder.encode(value))
        } catch {
            throw NATSError(.configuration, "A request to JetStream cannot be written as JSON.")
        }
    }
}
