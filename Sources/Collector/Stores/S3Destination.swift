internal import Foundation
internal import HTTPTransport

/// Puts each document into a bucket of S3, or of what is compatible with it: the key is the prefix and the name
/// (`atif-trajectories.md` 6.2). The bucket is a part of the path, which all of them understand.
struct S3Destination: TrajectoryDestination {
    /// Codes of status 400 that are about who asks, how or when, not about the document.
    private static let codesOfRequests: Set<String> = [
        "AuthorizationHeaderMalformed", "ExpiredToken", "IllegalLocationConstraintException", "InvalidBucketName",
        "InvalidRequest", "InvalidSecurity", "InvalidToken", "RequestTimeout", "RequestTimeTooSkewed",
        "TokenRefreshRequired",
    ]

    let s3: CollectorConfiguration.Store.S3
    let client: HTTPClient

    func store(_ document: StoredDocument) async -> StoreAnswer {
        var request = HTTPRequest(
            method: "PUT",
            url: "\(s3.endpoint)\(AWSSignature.escaped("/\(s3.bucket)/\(s3.keyPrefix)\(document.name)"))",
            headers: [("content-type", "application/json")], body: document.body, timeout: s3.timeout, tls: s3.tls)
        AWSSignature.sign(
            &request, region: s3.region, credentials: s3.credentials, unixTime: Int(Date().timeIntervalSince1970))
        return await client.answer(request, S3Destination.judge)
    }

    static func judge(_ response: HTTPResponse) -> StoreAnswer {
        let answer = StoreAnswer(response)
        if answer == .stored { return answer }
        let code = element("Code", of: response) ?? ""
        let words = [code, element("Message", of: response) ?? ""].filter { !$0.isEmpty }.joined(separator: ": ")
        let text = words.isEmpty ? "status \(response.status)" : "status \(response.status): \(words)"
        switch answer {
        case .stored: return answer
        case .failed(_, let retryAfter): return .failed(text, retryAfter: retryAfter)
        case .refused(let word, _):
            return codesOfRequests.contains(code) ? .failed(text, retryAfter: nil) : .refused(word: word, text)
        }
    }

    /// The first text of an element of the answer's XML, in one bounded line.
    private static func element(_ name: String, of response: HTTPResponse) -> String? {
        let body = String(decoding: response.body.prefix(4096).map { $0 < 0x20 ? 0x20 : $0 }, as: UTF8.self)
        guard let start = body.firstRange(of: "<\(name)>"),
            let end = body[start.upperBound...].firstRange(of: "</\(name)>")
        else { return nil }
        return String(body[start.upperBound..<end.lowerBound].prefix(256))
    }
}
