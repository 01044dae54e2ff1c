package import HTTPTransport
internal import Stages

extension CollectorConfiguration {
    /// Where finished trajectories are kept beside TRAJECTORIES.
    package struct Store: Sendable {
        package enum Destination: Sendable {
            case files(directory: String)
            case http(HTTP)
            case s3(S3)
        }

        package struct HTTP: Sendable {
            package var url: String
            package var headers: [(name: String, value: String)] = []
            package var timeout = Duration.milliseconds(3000)
            package var tls = HTTPRequest.TLS()

            package init(url: String) { self.url = url }
        }

        package struct S3: Sendable {
            /// Without a slash at its end; the bucket follows as the first part of the path.
            package var endpoint: String
            package var bucket: String
            /// Empty, or with a slash at its end.
            package var keyPrefix = ""
            package var region: String
            package var credentials: AWSSignature.Credentials
            package var timeout = Duration.seconds(30)
            package var tls = HTTPRequest.TLS()

            package init(endpoint: String, bucket: String, region: String, credentials: AWSSignature.Credentials) {
                self.endpoint = endpoint
                self.bucket = bucket
                self.region = region
                self.credentials = credentials
            }
        }

        /// `<name>` of the stage `store-<name>`.
        package var name: String
        /// The key that it was read from, which complaints name.
        package var field: String
        package var destination: Destination
        /// Where documents are written that the destination refuses for good; nil writes none.
        package var recoveryDirectory: String?
        /// The wait after a first failure; it doubles with every further one.
        package var initialBackoff = Duration.seconds(1)

        package init(name: String, field: String, destination: Destination) {
            self.name = name
            self.field = field
            self.destination = destination
        }

        package var stage: String { StageName.store(name) }

        /// Where it is, without secrets.
        package var address: String {
            switch destination {
            case .files(let directory): directory
            case .http(let http): HTTPRequest(method: "POST", url: http.url).redactedURL
            case .s3(let s3): "\(s3.endpoint)/\(s3.bucket)/\(s3.keyPrefix)"
            }
        }
    }
}
