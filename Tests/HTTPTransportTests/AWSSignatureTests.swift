import Foundation
import HTTPTransport
import SHA2
import Testing

@Suite("Signatures for S3")
struct AWSSignatureTests {
    private struct Recording: Decodable {
        struct Case: Decodable, CustomTestStringConvertible {
            let method, url, body, region: String
            let token: String?
            let time: Int
            let date, digest, authorization: String

            var testDescription: String { "\(method) \(url)" }
        }
        let cases: [Case]
    }

    /// Written by scripts/record-aws-signatures.py.
    private static var recorded: [Recording.Case] {
        let file = Bundle.module.url(forResource: "Signatures/botocore", withExtension: "json")
        let recording = file.flatMap { try? Data(contentsOf: $0) }.flatMap {
            try? JSONDecoder().decode(Recording.self, from: $0)
        }
        return recording?.cases ?? []
    }

    @Test("are recorded")
    func present() { #expect(Self.recorded.count == 4) }

    @Test("are those of botocore", arguments: Self.recorded)
    private func signature(recorded: Recording.Case) {
        var request = HTTPRequest(
            method: recorded.method, url: recorded.url, headers: [("content-type", "application/json")],
            body: Array(recorded.body.utf8))
        AWSSignature.sign(
            &request, region: recorded.region,
            credentials: AWSSignature.Credentials(
                accessKeyID: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                sessionToken: recorded.token), unixTime: recorded.time)
        func header(_ name: String) -> String? { request.headers.first { $0.name.lowercased() == name }?.value }
        #expect(header("authorization") == recorded.authorization)
        #expect(header("x-amz-date") == recorded.date)
        #expect(header("x-amz-content-sha256") == recorded.digest)
        #expect(header("x-amz-security-token") == recorded.token)
    }

    @Test("are over paths in which everything is escaped but unreserved characters and slashes")
    func escaped() {
        #expect(AWSSignature.escaped("/b/a b+é~_-.json") == "/b/a%20b%2B%C3%A9~_-.json")
        #expect(AWSSignature.escaped("/a:b@c=&$'()*,%") == "/a%3Ab%40c%3D%26%24%27%28%29%2A%2C%25")
    }

    private static func text(_ bytes: [UInt8]) -> String { bytes.map { String(format: "%02x", $0) }.joined() }

    @Test(
        "rest on the digests of FIPS 180-4, also around the edges of a block",
        arguments: [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"),
            (56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"),
            (63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"),
            (64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"),
            (65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"),
            (1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
        ])
    func digest(count: Int, expected: String) {
        #expect(Self.text(SHA256.digest([UInt8](repeating: UInt8(ascii: "a"), count: count))) == expected)
    }

    @Test("rest on the codes of RFC 4231, also with a key longer than a block")
    func code() {
        let short = SHA256.authenticationCode(Array("what do ya want for nothing?".utf8), key: Array("Jefe".utf8))
        #expect(Self.text(short) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        let long = SHA256.authenticationCode(
            Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
            key: [UInt8](repeating: 0xAA, count: 131))
        #expect(Self.text(long) == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    }
}
