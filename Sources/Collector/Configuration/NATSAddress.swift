internal import Foundation

/// The URL of a NATS server, as a file, a variable or an option gives it.
package enum NATSAddress {
    /// What is wrong with it, to stand behind its name; nil when nothing is. Never holds the URL, in which there may be a secret.
    package static func complaint(about url: String) -> String? {
        if !["nats://", "tls://"].contains(where: { url.hasPrefix($0) }) {
            return "must begin with nats:// or tls://, such as nats://127.0.0.1:4222"
        }
        // Everybody may read the arguments of a process, and its URLs are in logs.
        if url.contains("@") {
            return "holds credentials; use user with password_env, token_env or a file of [nats] instead"
        }
        if !HTTPAddress.isPort(URLComponents(string: url)?.port) {
            return "has a port that does not exist; ports are 1 to 65535"
        }
        return nil
    }
}
