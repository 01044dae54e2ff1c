import Collector
import Foundation
import HTTPTransport
import Testing

@Suite("Configuration of stores")
struct StorageConfigurationTests {
    private static let keys = ["AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"]
    private static let storage = "components[0].config.atif.storage"

    /// - Parameter atif: lines of the section, and of its tables.
    private static func read(
        _ atif: String, environment: [String: String] = [:], enabled: Bool = true
    ) throws -> (CollectorConfiguration, [Diagnostic]) {
        let text = """
            [[components]]
            kind = "observability"
            [components.config]
            version = 4
            [components.config.atif]
            enabled = \(enabled)
            \(atif.replacingOccurrences(of: "[[storage]]", with: "[[components.config.atif.storage]]"))
            """
        return try ConfigurationReader.read(text: text, name: "test.toml", environment: environment)
    }

    private static let http = "[[storage]]\ntype = \"http\"\nendpoint = \"https://example.org/x\"\n"
    private static let s3 = "[[storage]]\ntype = \"s3\"\nbucket = \"b\"\n"

    @Test("takes the directory as the one store, and beside others as the place for what those refuse")
    func directory() throws {
        let (alone, _) = try Self.read("output_directory = \"/out\"")
        #expect(alone.stores.map(\.name) == ["files"] && alone.stores.map(\.address) == ["/out"])
        #expect(alone.stores.first?.recoveryDirectory == nil)
        let (beside, _) = try Self.read(
            "output_directory = \"/out\"\n\(Self.http)[[storage]]\ntype = \"files\"\ndirectory = \"/all\"")
        #expect(beside.stores.map(\.name) == ["http", "files"])
        #expect(beside.stores.map(\.recoveryDirectory) == ["/out", "/out"])
        #expect(beside.stores.last?.address == "/all")
        #expect(try Self.read("storage = []").0.stores.isEmpty)
        #expect(try Self.read(Self.http, enabled: false).0.stores.isEmpty)
    }

    @Test("names stores by their type, around the names that are given")
    func names() throws {
        let second = Self.http + "name = \"http\"\n"
        let (configuration, diagnostics) = try Self.read(
            Self.http + second + Self.http + Self.s3, environment: Self.keys)
        #expect(diagnostics.isEmpty)
        #expect(configuration.stores.map(\.stage) == ["store-http-2", "store-http", "store-http-3", "store-s3"])
    }

    @Test("takes headers from the file and the environment, which counts")
    func headers() throws {
        let (configuration, _) = try Self.read(
            Self.http + "timeout_millis = 10\nheaders = { a = \"1\", B = \"2\" }\nheader_env = { b = \"KEY\" }",
            environment: ["KEY": "3"])
        guard case .http(let http)? = configuration.stores.first?.destination else {
            Issue.record("no HTTP store")
            return
        }
        #expect(http.headers.map { "\($0.name)=\($0.value)" } == ["a=1", "b=3"])
        #expect(http.timeout == .milliseconds(10))
    }

    @Test("takes what the file does not say about S3 from the variables of AWS")
    func variables() throws {
        func s3(_ text: String, _ environment: [String: String]) throws -> CollectorConfiguration.Store.S3 {
            let store = try #require(try Self.read(Self.s3 + text, environment: environment).0.stores.first)
            guard case .s3(let s3) = store.destination else { throw Failure("no S3 store") }
            return s3
        }
        let plain = try s3("", Self.keys)
        #expect(plain.endpoint == "https://s3.us-east-1.amazonaws.com" && plain.region == "us-east-1")
        #expect(plain.credentials.accessKeyID == "id" && plain.credentials.secretAccessKey == "secret")
        #expect(plain.credentials.sessionToken == nil && plain.keyPrefix == "")
        let environment = Self.keys.merging([
            "AWS_REGION": "r1", "AWS_SESSION_TOKEN": "t", "AWS_ENDPOINT_URL": "http://h:9000/",
            "AWS_ALLOW_HTTP": "true",
        ]) { $1 }
        let outside = try s3("key_prefix = \" a/b \"", environment)
        #expect(outside.endpoint == "http://h:9000" && outside.region == "r1" && outside.keyPrefix == "a/b/")
        #expect(outside.credentials.sessionToken == "t")
        let inside = try s3(
            """
            key_prefix = "a/"
            region = "r2"
            access_key_id = "id2"
            secret_access_key_var = "S"
            session_token_var = "T"
            endpoint_url = "https://s3.example.org/base"
            """, environment.merging(["S": "s2", "T": "t2"]) { $1 })
        #expect(inside.endpoint == "https://s3.example.org/base" && inside.region == "r2" && inside.keyPrefix == "a/")
        #expect(inside.credentials.accessKeyID == "id2" && inside.credentials.secretAccessKey == "s2")
        #expect(inside.credentials.sessionToken == "t2")
    }

    @Test(
        "complains about each mistake with its key",
        arguments: [
            ("[[storage]]", "type"), ("[[storage]]\ntype = \"gcs\"", "type"),
            ("[[storage]]\ntype = \"files\"", "directory"),
            ("[[storage]]\ntype = \"http\"", "endpoint"),
            ("[[storage]]\ntype = \"http\"\nendpoint = \" https://x\"", "endpoint"),
            ("[[storage]]\ntype = \"http\"\nendpoint = \"ftp://x\"", "endpoint"),
            (http + "timeout_millis = 0", "timeout_millis"), (http + "name = \"A\"", "name"),
            (http + "name = \"\"", "name"),
            (http + "headers = { a = \"1\", A = \"2\" }", "headers.a"),
            (http + "headers = { \"a b\" = \"1\" }", "headers.a b"),
            (http + "header_env = { a = \"NONE\" }", "header_env.a"),
            (http + "ca_file = \"/no/such/file\"", "ca_file"),
            ("[[storage]]\ntype = \"s3\"", "bucket"), ("[[storage]]\ntype = \"s3\"\nbucket = \"a/b\"", "bucket"),
            (s3 + "endpoint_url = \"http://h\"", "endpoint_url"),
            (s3 + "endpoint_url = \"https://u:p@h\"", "endpoint_url"),
            (s3 + "secret_access_key_var = \"NONE\"", "secret_access_key_var"),
            (s3 + "session_token_var = \"NONE\"", "session_token_var"),
        ])
    func complaints(toml: String, key: String) {
        #expect {
            try Self.read(toml, environment: Self.keys)
        } throws: { error in
            let diagnostics = (error as? ConfigurationError)?.diagnostics ?? []
            return diagnostics.map { "\($0.code) \($0.field)" }
                == ["observability.unsupported_value \(Self.storage)[0].\(key)"]
        }
    }

    @Test("does not show a secret that stands where the name of its variable belongs")
    func misplacedSecret() {
        #expect {
            try Self.read(Self.s3 + "secret_access_key_var = \"wJalr/K7MD\"", environment: Self.keys)
        } throws: { error in
            "\(error)".contains("secret_access_key_var") && !"\(error)".contains("wJalr")
        }
    }

    @Test("names the keys of S3 that are missing, a name that is used twice, and keys that nobody reads")
    func others() throws {
        #expect {
            try Self.read(Self.s3)
        } throws: { error in
            let fields = ((error as? ConfigurationError)?.diagnostics ?? []).map(\.field)
            return fields == ["\(Self.storage)[0].secret_access_key_var", "\(Self.storage)[0].access_key_id"]
        }
        let named = Self.http + "name = \"a\"\n"
        #expect {
            try Self.read(named + named)
        } throws: { "\($0)".contains("storage[1].name: \"a\" names another store already") }
        let (configuration, diagnostics) = try Self.read(Self.http + "bucket = \"b\"")
        #expect(configuration.stores.count == 1)
        #expect(diagnostics.map(\.field) == ["\(Self.storage)[0].bucket"])
        #expect(diagnostics.map(\.code) == ["observability.unknown_field"])
        // A document that puts up with mistakes still gives every store a name of its own.
        let lenient = "[components.config.policy]\nunsupported_value = \"warn\"\n" + named + named
        #expect(try Self.read(lenient).0.stores.map(\.name) == ["a", "http"])
    }
}
