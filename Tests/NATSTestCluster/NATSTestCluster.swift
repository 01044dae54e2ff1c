import Foundation
package import NATSTransport

#if canImport(Glibc)
    import Glibc
#endif

/// Several nats-servers on 127.0.0.1 that are one JetStream cluster, for tests. Their data is below a directory of the
/// test's.
package struct NATSTestCluster: Sendable {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    package let nodes: [NATSServerProcess]

    package var urls: [String] { nodes.map(\.url) }

    /// Starts the servers; whether they have found each other already is left to the caller.
    package static func start(executable: String, directory: String, count: Int = 3) async throws -> NATSTestCluster {
        let ports = try FreePorts.take(count)
        let routes = ports.map { "nats-route://127.0.0.1:\($0)" }.joined(separator: ", ")
        var nodes: [NATSServerProcess] = []
        for (number, port) in ports.enumerated() {
            var options = NATSServerProcess.Options(
                executable: executable, dataDirectory: "\(directory)/node\(number)", port: Int(try FreePorts.take()[0]))
            options.configuration = """
                server_name: node\(number)
                cluster { name: skein, listen: "127.0.0.1:\(port)", routes: [\(routes)] }
                """
            do {
                nodes.append(try await NATSServerProcess.start(options))
            } catch {
                for node in nodes { await node.kill() }
                throw error
            }
        }
        return NATSTestCluster(nodes: nodes)
    }

    package func kill() async {
        for node in nodes { await node.kill() }
    }
}

/// Who holds a stream, as its leader says.
package struct StreamPlacement: Sendable {
    package let leader: String
    /// The names of the other servers, and whether each is there and up to date.
    package let followers: [String: Bool]
}

extension JetStream {
    /// Where a stream is; nil while it does not exist or has no leader.
    package func placement(of stream: String) async throws -> StreamPlacement? {
        struct Reply: Decodable {
            struct Cluster: Decodable {
                struct Peer: Decodable {
                    let name: String
                    let current: Bool
                    let offline: Bool?
                    let lag: UInt64?
                }
                let leader: String?
                let replicas: [Peer]?
            }
            let cluster: Cluster?
        }
        do throws(NATSError) {
            let bytes = try await api("STREAM.INFO.\(stream)")
            guard let cluster = (try? JSONDecoder().decode(Reply.self, from: Data(bytes)))?.cluster,
                let leader = cluster.leader
            else { return nil }
            let followers = (cluster.replicas ?? []).map {
                ($0.name, $0.current && $0.offline != true && ($0.lag ?? 0) == 0)
            }
            return StreamPlacement(leader: leader, followers: Dictionary(followers) { $1 })
        } catch {
            guard error.isTemporary || error.code == .notFound else { throw error }
            return nil
        }
    }

    /// Whether a stream has a leader and all its replicas are there and up to date.
    package func isCurrent(_ stream: String) async throws -> Bool {
        try await placement(of: stream)?.followers.values.allSatisfy { $0 } ?? false
    }
}
