internal import Foundation
internal import SHA2

/// Signature version 4 of Amazon Web Services, as S3 and what is compatible with it wants it: the header `Authorization` over method,
/// path, headers and body.
///
/// Not libcurl's: version 7.88, which Debian 12 has, signs headers that it does not send, and leaves out the body's digest.
package enum AWSSignature {
    package struct Credentials: Sendable {
        package var accessKeyID: String
        package var secretAccessKey: String
        package var sessionToken: String?

        package init(accessKeyID: String, secretAccessKey: String, sessionToken: String? = nil) {
            self.accessKeyID = accessKeyID
            self.secretAccessKey = secretAccessKey
            self.sessionToken = sessionToken
        }
    }

    /// Adds `Host`, `x-amz-…` and `Authorization`; all headers that are there are signed too.
    ///
    /// - Parameters:
    ///   - request: its URL has no query, and a path that is escaped as `escaped` does it.
    ///   - unixTime: seconds since 1970 now; the service refuses what is minutes off.
    package static func sign(
        _ request: inout HTTPRequest, region: String, service: String = "s3", credentials: Credentials, unixTime: Int
    ) {
        let (host, path) = hostAndPath(of: request.url)
        let time = timestamp(unixTime)
        let day = time.prefix(8)
        let bodyDigest = hexadecimal(SHA256.digest(request.body))
        request.headers += [("Host", host), ("x-amz-content-sha256", bodyDigest), ("x-amz-date", time)]
        if let token = credentials.sessionToken { request.headers.append(("x-amz-security-token", token)) }

        let signed = request.headers.map { (name: $0.name.lowercased(), value: collapsed($0.value)) }
            .sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        let names = signed.map(\.name).joined(separator: ";")
        let canonical = """
            \(request.method)
            \(path)

            \(signed.map { "\($0.name):\($0.value)\n" }.joined())
            \(names)
            \(bodyDigest)
            """
        let scope = "\(day)/\(region)/\(service)/aws4_request"
        let text = "AWS4-HMAC-SHA256\n\(time)\n\(scope)\n\(hexadecimal(SHA256.digest(Array(canonical.utf8))))"
        var key = Array("AWS4\(credentials.secretAccessKey)".utf8)
        for part in [String(day), region, service, "aws4_request", text] {
            key = SHA256.authenticationCode(Array(part.utf8), key: key)
        }
        request.headers.append(
            (
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=\(credentials.accessKeyID)/\(scope), SignedHeaders=\(names), Signature=\(hexadecimal(key))"
            ))
    }

    /// A path with everything escaped but unreserved characters and slashes.
    package static func escaped(_ path: String) -> String {
        var text = ""
        for byte in path.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"), UInt8(ascii: "/"):
                text.append(Character(UnicodeScalar(byte)))
            default:
                text += "%" + hexadecimal([byte]).uppercased()
            }
        }
        return text
    }

    private static func hostAndPath(of url: String) -> (String, String) {
        let rest = url.firstRange(of: "://").map { url[$0.upperBound...] } ?? url[...]
        let start = rest.firstIndex(of: "/") ?? rest.endIndex
        return (String(rest[..<start]), start == rest.endIndex ? "/" : String(rest[start...]))
    }

    /// Without spaces around it, and with one where there are several.
    private static func collapsed(_ value: String) -> String {
        value.split(separator: " ").joined(separator: " ")
    }

    /// `20260101T120000Z`.
    private static func timestamp(_ unixTime: Int) -> String {
        var seconds = time_t(unixTime)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func digits(_ number: Int32, _ count: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        return digits(parts.tm_year + 1900, 4) + digits(parts.tm_mon + 1, 2) + digits(parts.tm_mday, 2) + "T"
            + digits(parts.tm_hour, 2) + digits(parts.tm_min, 2) + digits(parts.tm_sec, 2) + "Z"
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        var text = ""
        for byte in bytes {
            if byte < 16 { text += "0" }
            text += String(byte, radix: 16)
        }
        return text
    }
}
