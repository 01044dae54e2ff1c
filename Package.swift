// swift-tools-version: 6.1
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "skein",
    products: [
        .executable(name: "skein", targets: ["skein"]),
        .library(name: "AgentKit", targets: ["AgentKit"]),
        .library(name: "AgentKitService", targets: ["AgentKitService"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
    ],
    targets: [
        // C libraries of the system (Debian's names in apt), and C that is ours.
        .systemLibrary(name: "CNATS", pkgConfig: "libnats", providers: [.apt(["libnats-dev"])]),
        .systemLibrary(
            name: "CProtobufC", pkgConfig: "libprotobuf-c",
            providers: [.apt(["libprotobuf-c-dev", "protobuf-c-compiler"])]),
        .target(name: "CChildProcess"),
        .target(name: "CMemory"),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(
            name: "CMicroHTTPD", pkgConfig: "libmicrohttpd", providers: [.apt(["libmicrohttpd-dev"])]),
        .target(
            name: "CSkeinProto", dependencies: ["CProtobufC"], publicHeadersPath: ".",
            cSettings: [.headerSearchPath(".")]),
        .target(name: "CSimdJSON", linkerSettings: [.linkedLibrary("simdjson")]),
        .target(name: "CRE2", linkerSettings: [.linkedLibrary("re2")]),
        // Headers only: libvalijson-dev, nlohmann-json3-dev.
        .target(name: "CValijson"),

        // Pure: no I/O, no clock, no lock, no logger.
        .target(name: "SHA2", swiftSettings: strict),
        .target(name: "ATOF", dependencies: ["CSkeinProto", "CSimdJSON"], swiftSettings: strict),
        .target(name: "LLMCodecs", dependencies: ["ATOF"], swiftSettings: strict),
        .target(
            name: "Middleware", dependencies: ["ATOF", "CRE2", "CValijson", "LLMCodecs", "SHA2"], swiftSettings: strict),
        .target(name: "Trajectories", dependencies: ["ATOF", "LLMCodecs"], swiftSettings: strict),
        .target(name: "Projections", dependencies: ["ATOF", "LLMCodecs"], swiftSettings: strict),
        .target(name: "Adaptive", dependencies: ["ATOF"], swiftSettings: strict),
        .target(name: "Stages", dependencies: ["ATOF", "Adaptive", "LLMCodecs", "Middleware"], swiftSettings: strict),
        .target(name: "AgentEvents", dependencies: ["ATOF", "LLMCodecs"], swiftSettings: strict),

        .target(name: "AgentPublishing", dependencies: ["ATOF", "Stages"], swiftSettings: strict),

        .target(name: "HTTPProtocol", swiftSettings: strict),
        .target(name: "Ingest", dependencies: ["AgentPublishing", "ATOF", "SHA2", "Stages"], swiftSettings: strict),

        // Input and output.
        .target(name: "HTTPServer", dependencies: ["CMicroHTTPD", "HTTPProtocol"], swiftSettings: strict),
        .target(name: "HTTPTransport", dependencies: ["CCurl", "CZlib", "SHA2"], swiftSettings: strict),
        .target(name: "NATSTransport", dependencies: ["CNATS", "CChildProcess"], swiftSettings: strict),
        .target(name: "BusReading", dependencies: ["ATOF", "NATSTransport", "Stages"], swiftSettings: strict),
        .target(
            name: "AgentKit",
            dependencies: [
                "ATOF", "AgentEvents", "AgentPublishing", "BusReading", "LLMCodecs", "NATSTransport", "Stages",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        // Apart, because who does not use swift-service-lifecycle does not want to wait for it.
        .target(
            name: "AgentKitService",
            dependencies: ["AgentKit", .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")],
            swiftSettings: strict),
        .target(
            name: "OTLP", dependencies: ["ATOF", "Projections", "CProtobufC", "CSkeinProto", "HTTPTransport"],
            swiftSettings: strict),
        .target(
            name: "Collector",
            dependencies: [
                "ATOF", "Adaptive", "LLMCodecs", "Middleware", "Stages", "Trajectories", "Projections", "OTLP",
                "HTTPTransport", "AgentKit", "AgentPublishing", "BusReading", "HTTPProtocol", "HTTPServer", "Ingest",
                "NATSTransport", "SHA2", "TOMLKit",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "skein",
            dependencies: [
                "ATOF", "BusReading", "CMemory", "Collector", "NATSTransport", "OTLP", "Projections", "Stages",
                "Trajectories",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),

        // Documentation that builds.
        .executableTarget(
            name: "SwiftAgent", dependencies: ["AgentKit"], path: "Examples/SwiftAgent", swiftSettings: strict),
        .executableTarget(
            name: "AgentLoad",
            dependencies: [
                "ATOF", "AgentKit", "NATSTransport", "Stages", .product(name: "Logging", package: "swift-log"),
            ],
            path: "Examples/AgentLoad", swiftSettings: strict),

        // Tests.
        .target(name: "HTTPTestServer", dependencies: ["CZlib"], path: "Tests/HTTPTestServer", swiftSettings: strict),
        .target(
            name: "NATSTestCluster", dependencies: ["NATSTransport"], path: "Tests/NATSTestCluster",
            swiftSettings: strict),
        .target(
            name: "Fuzzing",
            dependencies: [
                "ATOF", "AgentPublishing", "HTTPProtocol", "Ingest", "LLMCodecs", "Middleware", "OTLP", "Projections",
                "Stages", "Trajectories",
            ],
            path: "Tests/Fuzzing", swiftSettings: strict),
        .testTarget(
            name: "FuzzingTests", dependencies: ["Fuzzing"], resources: [.copy("Found")], swiftSettings: strict),
        .testTarget(
            name: "ATOFTests", dependencies: ["ATOF", "Fuzzing"], resources: [.copy("Recorded"), .copy("Malformed")],
            swiftSettings: strict),
        .testTarget(
            name: "StagesTests", dependencies: ["ATOF", "Adaptive", "LLMCodecs", "Middleware", "Stages"],
            swiftSettings: strict),
        .testTarget(name: "AdaptiveTests", dependencies: ["ATOF", "Adaptive"], swiftSettings: strict),
        .testTarget(
            name: "LLMCodecsTests", dependencies: ["ATOF", "LLMCodecs"], resources: [.copy("Fixtures")],
            swiftSettings: strict),
        .testTarget(
            name: "MiddlewareTests", dependencies: ["ATOF", "LLMCodecs", "Middleware"],
            resources: [.copy("Exchanges")], swiftSettings: strict),
        .testTarget(
            name: "TrajectoriesTests", dependencies: ["ATOF", "LLMCodecs", "Trajectories"], resources: [.copy("Cases")],
            swiftSettings: strict),
        .testTarget(
            name: "ProjectionsTests", dependencies: ["ATOF", "Projections", "OTLP"], resources: [.copy("Cases")],
            swiftSettings: strict),
        .testTarget(
            name: "HTTPTransportTests", dependencies: ["HTTPTransport", "HTTPTestServer", "SHA2"],
            resources: [.copy("Signatures")], swiftSettings: strict),
        .testTarget(name: "HTTPProtocolTests", dependencies: ["HTTPProtocol"], swiftSettings: strict),
        .testTarget(
            name: "HTTPServerTests", dependencies: ["HTTPProtocol", "HTTPServer", "HTTPTestServer"],
            swiftSettings: strict),
        .testTarget(name: "IngestTests", dependencies: ["AgentPublishing", "ATOF", "Ingest"], swiftSettings: strict),
        .testTarget(
            name: "OTLPTests",
            dependencies: [
                "ATOF", "Projections", "OTLP", "HTTPTransport", "HTTPTestServer", "CSkeinProto", "CProtobufC",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "NATSTransportTests", dependencies: ["NATSTransport", "NATSTestCluster"], swiftSettings: strict),
        .testTarget(
            name: "AgentKitTests", dependencies: ["ATOF", "AgentEvents", "AgentKit", "LLMCodecs"],
            resources: [.copy("Recorded")], swiftSettings: strict),
        .testTarget(
            name: "AgentPublishingTests",
            dependencies: [
                "ATOF", "AgentKit", "AgentKitService", "AgentLoad", "AgentPublishing", "NATSTestCluster",
                "NATSTransport",
                "Stages", .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "CollectorTests",
            dependencies: [
                "ATOF", "Adaptive", "AgentKit", "BusReading", "Collector", "CProtobufC", "CSkeinProto", "HTTPProtocol",
                "HTTPTestServer", "HTTPTransport", "Ingest", "LLMCodecs", "Middleware", "NATSTestCluster",
                "NATSTransport",
                "OTLP", "Projections", "Stages",
                .product(name: "Logging", package: "swift-log"),
            ],
            resources: [.copy("Configurations"), .copy("Middleware")], swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)

// libFuzzer brings its own `main`, so this links with -sanitize=fuzzer only: ./dev fuzz asks for it.
if Context.environment["SKEIN_FUZZ"] != nil {
    package.targets += [
        .target(name: "CLibFuzzer", path: "Tests/CLibFuzzer"),
        .executableTarget(
            name: "skein-fuzz", dependencies: ["CLibFuzzer", "Fuzzing"], path: "Tests/LibFuzzer", swiftSettings: strict),
    ]
}
