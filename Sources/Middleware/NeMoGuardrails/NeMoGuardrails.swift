package import ATOF

/// The `nemo_guardrails` component in remote mode as it was configured and found valid (`middleware-guardrails-pii.md` 9).
package struct NeMoGuardrails: Sendable, Hashable {
    /// What the server checks with.
    package enum Configuration: Sendable, Hashable {
        case one(String)
        case several([String])
    }

    /// `request_defaults`: goes into every request as it is.
    package struct RequestDefaults: Sendable, Hashable {
        package var context: JSONObject?
        package var threadID: String?
        package var state: JSONObject?
        package var rails: JSONObject?
        package var llmParams: JSONObject?
        package var llmOutput: JSONValue?
        package var outputVars: JSONValue?
        package var log: JSONObject?

        package init() {}
    }

    /// A header of every request; its value may be a secret.
    package struct Header: Sendable, Hashable {
        package let name: String
        package let value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// Without a slash at its end.
    package var endpoint: String
    package var configuration: Configuration
    package var headers: [Header] = []
    package var timeout = Duration.milliseconds(3000)
    /// Model calls, before they are made: agents ask for it.
    package var checksInput = true
    /// Responses of models, as they are recorded.
    package var checksOutput = true
    /// Results of tools, as they are recorded.
    package var checksToolOutput = false
    package var priority: Int32 = 100
    package var defaults = RequestDefaults()
    /// What becomes of what could not be checked.
    package var onFailure = WorkerSettings.FailurePolicy.closed
    /// Requests under way at once, of each collector.
    package var maximumInFlight = 8

    package init(endpoint: String, configuration: Configuration) {
        self.endpoint = endpoint
        self.configuration = configuration
    }

    package static let name = "nemo_guardrails"
    package var url: String { "\(endpoint)/v1/chat/completions" }
}

/// What is checked.
package enum NeMoGuardrailsCheck: Sendable, Hashable {
    /// The messages of an OpenAI Chat request.
    case input(model: String, messages: [JSONValue])
    /// What a model said.
    case output(model: String, text: String)
    case toolOutput(name: String, arguments: JSONValue, result: JSONValue)
}

/// What the server says of it.
package enum NeMoGuardrailsVerdict: Sendable, Hashable {
    case passed
    /// Of messages the text of the last user message, of a model's output the text, of a tool the result.
    case modified(JSONValue)
    case blocked(rail: String)
}

/// Why there is no verdict. No part of an answer's body.
package struct NeMoGuardrailsFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// The `reason` of `skein_nemo_guardrails_failures_total`.
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        /// What is to be checked has not the form that can be.
        case unsupported
        case timeout
        /// The server cannot be reached, or broke off.
        case unreachable
        /// The answer's status is not 2xx.
        case status
        case wrongAnswer = "wrong_answer"
        /// Too many checks wait already.
        case overloaded
        /// So many checks have failed that no further ones are tried for a while.
        case circuitOpen = "circuit_open"
        /// There is nobody who could ask, such as offline.
        case unasked
    }

    package let kind: Kind
    /// Of the answer, when there was one.
    package let status: Int?
    package let message: String

    package init(_ kind: Kind, status: Int? = nil, _ message: String) {
        self.kind = kind
        self.status = status
        self.message = message
    }

    package var description: String { message }
}
