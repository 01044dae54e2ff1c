import HTTPProtocol
import Testing

@Suite("Where the body of a request ends")
struct RequestFramingTests {
    private static let host = "Host: x"
    private static let upgrade = ["Upgrade: websocket", "Connection: Upgrade"]

    /// version and target, headers; what it is, or the status and a word of why not
    private static let cases: [(line: String, headers: [String], found: String)] = [
        ("HTTP/1.1 /v1/atof", [host], "0"),
        ("HTTP/1.1 /v1/atof", [host, "Content-Length: 52"], "52"),
        ("HTTP/1.1 /v1/atof", [host, "content-length: 0052"], "52"),
        ("HTTP/1.0 /v1/atof", [host, "Content-Length: 52"], "52"),
        ("HTTP/1.1 /v1/atof", [host, "Content-Length: 9223372036854775807"], "9223372036854775807"),
        ("HTTP/1.1 /v1/atof", [host, "Content-Length: 9223372036854775808"], "413 more"),
        ("HTTP/1.1 /v1/atof", [host, "Content-Length: 18446744073709551615"], "413 more"),
        ("HTTP/1.1 /v1/atof", [host, "Content-Length: 99999999999999999999999"], "413 more"),
        ("HTTP/1.1 /v1/atof", [host, "Content-Length: +52"], "400 no number"),
        ("HTTP/1.1 /v1/atof", [host, "Content-Length: -52"], "400 no number"),
        ("HTTP/1.1 /v1/atof", [host, "Content-Length: 3, 3"], "400 no number"),
        ("HTTP/1.1 /v1/atof", [host, "Content-Length: 0x3"], "400 no number"),
        ("HTTP/1.1 /v1/atof", [host, "Content-Length:"], "400 no number"),
        ("HTTP/1.1 /v1/atof", [host, "Content-Length: 3", "Content-Length: 52"], "400 more than once"),
        ("HTTP/1.1 /v1/atof", [host, "Content-Length: 3", "CONTENT-LENGTH: 3"], "400 more than once"),
        ("HTTP/1.1 /v1/atof", [host, "Content-Length : 52"], "400 white space"),
        ("HTTP/1.1 /v1/atof", [host, "X\tY: 52"], "400 white space"),
        ("HTTP/1.1 /v1/atof", [host, ": 52"], "400 white space"),
        ("HTTP/1.1 /v1/atof", [host, "Transfer-Encoding: chunked"], "chunked"),
        ("HTTP/1.1 /v1/atof", [host, "transfer-encoding: Chunked"], "chunked"),
        ("HTTP/1.0 /v1/atof", [host, "Transfer-Encoding: chunked"], "400 needs HTTP/1.1"),
        ("HTTP/1.1 /v1/atof", [host, "Transfer-Encoding: chunked", "Content-Length: 3"], "400 exclude"),
        ("HTTP/1.1 /v1/atof", [host, "Transfer-Encoding: identity"], "400 must be chunked"),
        ("HTTP/1.1 /v1/atof", [host, "Transfer-Encoding: gzip, chunked"], "400 must be chunked"),
        ("HTTP/1.1 /v1/atof", [host, "Transfer-Encoding:"], "400 must be chunked"),
        ("HTTP/1.1 /v1/atof", [host, "Transfer-Encoding: x", "Transfer-Encoding: chunked"], "400 more than once"),
        ("HTTP/1.1 /v1/atof", [host, host], "400 more than once"),
        ("HTTP/1.1 /v1/atof", upgrade, "0"),
        ("HTTP/1.1 /v1/atof", upgrade + ["Content-Length: 0"], "0"),
        ("HTTP/1.1 /v1/atof", upgrade + ["Content-Length: 1"], "400 no body"),
        ("HTTP/1.1 /v1/atof", upgrade + ["Transfer-Encoding: chunked"], "400 no body"),
        ("HTTP/1.1 /v1/atof", ["Upgrade: h2c"] + upgrade + ["Content-Length: 1"], "400 no body"),
        ("HTTP/1.1 /v1/atof", ["Upgrade: h2c", "Connection: Upgrade", "Content-Length: 1"], "1"),
        ("HTTP/1.1 /v1/atof%00/zzz", [host], "400 NUL"),
        ("HTTP/1.1 /t%2Fteam-a%2fv1/atof", [host], "400 slash"),
        ("HTTP/1.1 /v1/stream/a%20b?remove=%2F%00", [host], "0"),
        ("HTTP/1.1 /v1/stream/a%", [host], "0"),
    ]

    @Test("has one answer, or the request is refused", arguments: cases)
    func framing(_ line: String, _ headers: [String], _ found: String) throws {
        let parts = line.split(separator: " ").map(String.init)
        let fields = headers.map { header in
            let colon = header.firstIndex(of: ":") ?? header.endIndex
            return (
                name: String(header[..<colon]), value: String(header[colon...].dropFirst().drop { $0 == " " })
            )
        }
        let answer: String
        do throws(RequestFraming.Refusal) {
            switch try RequestFraming(version: parts[0], target: parts[1], headers: fields) {
            case .length(let length): answer = "\(length)"
            case .chunked: answer = "chunked"
            }
        } catch {
            let words = found.split(separator: " ", maxSplits: 1).map(String.init)
            #expect(words.count == 2 && words[0] == "\(error.status)" && error.reason.contains(words[1]), "\(error)")
            return
        }
        #expect(answer == found)
    }
}
