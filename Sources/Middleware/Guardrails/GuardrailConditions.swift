package import ATOF

extension GuardrailRule {
    /// Fires for a tool that is denied, or that is not allowed when there is a list of those that are. Denied wins.
    package struct ToolLists: Sendable, Hashable {
        /// Nil allows every tool; an empty list none.
        package var allow: [NameGlob]?
        package var deny: [NameGlob]

        package init(allow: [NameGlob]? = nil, deny: [NameGlob] = []) {
            self.allow = allow
            self.deny = deny
        }

        package func fires(for tool: String) -> Bool {
            deny.matches(tool) || allow.map { !$0.matches(tool) } ?? false
        }
    }

    /// A test of one value of a tool's arguments. A value that is not there passes no test. Arguments that are the JSON text of an object
    /// or an array are read as what the text holds, and none as an empty object.
    package struct ArgumentTest: Sendable, Hashable {
        package enum Test: Sendable, Hashable {
            /// The value is a string in which the expression matches.
            case pattern(ArgumentPattern)
            /// `1` and `1.0` are equal.
            case equals(JSONValue)
            /// The value is a number of this range; nil is no bound.
            case range(minimum: Double?, maximum: Double?)
            /// The value does not conform to the schema, or cannot be checked against it.
            case violates(ArgumentSchema)
        }

        /// RFC 6901; empty is all of the arguments.
        package var pointer: String
        package var test: Test

        package init(pointer: String, test: Test) {
            self.pointer = pointer
            self.test = test
        }
    }

    /// An expression that is ready to be used; the same as another one of the same text.
    package struct ArgumentPattern: Sendable, Hashable {
        private let pattern: Pattern

        /// - Throws: what is wrong with the text, and where.
        package init(_ text: String) throws(PatternError) { pattern = try Pattern(text) }

        package func matches(_ text: String) -> Bool { pattern.matches(text) }

        package static func == (left: Self, right: Self) -> Bool { left.pattern.text == right.pattern.text }

        package func hash(into hasher: inout Hasher) { hasher.combine(pattern.text) }
    }

    /// A sum that must not be exceeded: the rule fires when it is, once, and with a window again when it was below in between.
    package struct Budget: Sendable, Hashable {
        package enum Measure: String, Sendable, Hashable, CaseIterable {
            /// Of tools and of models.
            case calls
            case toolCalls = "tool_calls"
            case llmCalls = "llm_calls"
            /// Prompt and completion, as the answers of models report them.
            case tokens
            /// In billionths of a US dollar.
            case cost
            /// From the first event of a trajectory to its end, in nanoseconds of the log.
            case wallTime = "wall_time"
            /// Scopes inside of each other, the trajectory's own counted.
            case depth
            /// Scopes directly below one scope.
            case fanOut = "fan_out"

            /// Whether it can be counted over several runs.
            package var isCountable: Bool {
                switch self {
                case .calls, .toolCalls, .llmCalls, .tokens, .cost: true
                case .wallTime, .depth, .fanOut: false
                }
            }

            /// Whether it can be counted before the act: what a call will cost is not known then.
            package var isKnownBefore: Bool {
                switch self {
                case .calls, .toolCalls, .llmCalls: true
                case .tokens, .cost, .wallTime, .depth, .fanOut: false
                }
            }

            /// Whether a call of this category counts for it; tokens and cost are those of models.
            package func counts(_ call: GuardRequest.Kind) -> Bool {
                switch (self, call) {
                case (.calls, _), (.toolCalls, .tool), (.llmCalls, .llm), (.tokens, .llm), (.cost, .llm): true
                case (.toolCalls, .llm), (.llmCalls, .tool), (.tokens, .tool), (.cost, .tool), (.wallTime, _),
                    (.depth, _), (.fanOut, _):
                    false
                }
            }
        }

        package enum Owner: String, Sendable, Hashable, CaseIterable {
            case trajectory, agent, tenant
        }

        package var measure: Measure
        /// The most that is within the budget, in the unit of the measure.
        package var limit: UInt64
        package var owner: Owner
        /// Only what was counted within so many nanoseconds counts; nil is the whole trajectory.
        package var window: UInt64?

        package init(measure: Measure, limit: UInt64, owner: Owner = .trajectory, window: UInt64? = nil) {
            self.measure = measure
            self.limit = limit
            self.owner = owner
            self.window = window
        }

        /// US dollars in the unit of `Measure.cost`; what is no amount counts as nothing.
        package static func units(ofDollars dollars: Double) -> UInt64 {
            guard dollars.isFinite, dollars > 0 else { return 0 }
            return UInt64(exactly: (dollars * 1e9).rounded()) ?? .max
        }
    }

    /// The same call, by name and arguments, again and again within a trajectory.
    package struct Loop: Sendable, Hashable {
        package enum Call: String, Sendable, Hashable, CaseIterable {
            case tool, llm
        }

        package var call: Call
        /// So many equal calls are one too many; 2 to `maximumRepeats`.
        package var repeats: Int
        /// Counts equal calls within so many nanoseconds, whatever is between them; nil counts those in a row.
        package var window: UInt64?

        /// Calls that are remembered of a trajectory.
        package static let maximumRepeats = 256

        package init(call: Call = .tool, repeats: Int, window: UInt64? = nil) {
            self.call = call
            self.repeats = repeats
            self.window = window
        }
    }
}
