package import ATOF

/// What a worker, or the lack of one, says about an item.
package typealias WorkerAnswer = Result<WorkerResult, WorkerFailure>

extension WorkerReply {
    /// The answers to the items of a call, in their order; a result that the surface does not allow is a failure of its item.
    package func answers(for surface: WorkerSurface, count: Int) -> [WorkerAnswer] {
        switch self {
        case .failed: Array(repeating: .failure(.workerError), count: count)
        case .results(let results): results.map { WorkerReply.answer($0, surface.kind) }
        }
    }

    private static func answer(_ result: WorkerResult, _ kind: WorkerSurface.Kind) -> WorkerAnswer {
        switch (result, kind) {
        case (.failed, _): .failure(.workerError)
        case (.unchanged, .injector), (.unchanged, .payload), (.unchanged, .event), (.replacement, .event),
            (.value, .payload), (.omitted, .payload), (.metadata, .injector), (.verdict, .conditional),
            (.unchanged, .intercept), (.value, .intercept):
            .success(result)
        case (.unchanged, .conditional), (.replacement, _), (.value, _), (.omitted, _), (.metadata, _), (.verdict, _):
            .failure(.wrongReply)
        }
    }
}

/// What the steps of a chain ask workers about the events of one message, and what these answered.
///
/// The chain is synchronous, workers are not. So a message goes through the chain more than once: while `isPlanning`, a step that has no
/// answer yet leaves a question and ends the event's way; the shell asks, adds the answers, and plans again until nothing is asked any
/// more. Then the message goes through for good. The chain gives the same for the same answers, so that what a worker saw is what its
/// answer is applied to.
package struct WorkerExchange: Sendable {
    /// Which step asks about which event: one event of a message is no other one's duplicate.
    package struct Place: Sendable, Hashable {
        package let worker: String
        package let surface: WorkerSurface
        package let event: EventUUID
        package let kind: Event.Kind

        package init(worker: String, surface: WorkerSurface, event: EventUUID, kind: Event.Kind) {
            self.worker = worker
            self.surface = surface
            self.event = event
            self.kind = kind
        }
    }

    package struct Question: Sendable, Hashable {
        package let place: Place
        package let tenant: String
        package let item: WorkerCall.Item

        package init(place: Place, tenant: String, item: WorkerCall.Item) {
            self.place = place
            self.tenant = tenant
            self.item = item
        }
    }

    /// A check that a server of NeMo Guardrails is asked for.
    package struct Check: Sendable, Hashable {
        package let place: Place
        package let check: NeMoGuardrailsCheck
    }

    /// Whether questions may be asked; what becomes of the events is of no account then.
    package var isPlanning = false
    package private(set) var questions: [Question] = []
    package private(set) var checks: [Check] = []
    private var answers: [Place: WorkerAnswer] = [:]
    private var outcomes: [Place: NeMoGuardrailsOutcome] = [:]
    private var asking: Set<EventKey> = []

    private struct EventKey: Hashable {
        let uuid: EventUUID
        let kind: Event.Kind
    }

    package init() {}

    /// Whether anybody has to be asked before the message goes on.
    package var isAsking: Bool { !questions.isEmpty || !checks.isEmpty }

    /// Takes the answers to the questions and the outcomes of the checks, in their order, and is ready to plan again.
    package mutating func answered(_ answers: [WorkerAnswer], _ outcomes: [NeMoGuardrailsOutcome] = []) {
        precondition(answers.count == questions.count && outcomes.count == checks.count)
        for (question, answer) in zip(questions, answers) { self.answers[question.place] = answer }
        for (check, outcome) in zip(checks, outcomes) { self.outcomes[check.place] = outcome }
        questions = []
        checks = []
        asking = []
    }

    func answer(at place: Place) -> WorkerAnswer? { answers[place] }

    func outcome(at place: Place) -> NeMoGuardrailsOutcome? { outcomes[place] }

    /// The same for a check.
    mutating func ask(_ place: Place, _ check: NeMoGuardrailsCheck) {
        guard asking.insert(EventKey(uuid: place.event, kind: place.kind)).inserted else { return }
        checks.append(Check(place: place, check: check))
    }

    /// Leaves a question, unless an earlier step asks about the event already: what that makes of it decides what this one sees.
    mutating func ask(_ place: Place, tenant: String, _ item: @autoclosure () -> WorkerCall.Item) {
        guard asking.insert(EventKey(uuid: place.event, kind: place.kind)).inserted else { return }
        questions.append(Question(place: place, tenant: tenant, item: item()))
    }
}

/// Questions that go to a worker in one call.
package struct WorkerBatch: Sendable {
    package let worker: String
    package let surface: WorkerSurface
    package let tenant: String
    /// Indices of the questions.
    package fileprivate(set) var members: [Int] = []
    fileprivate var bytes = 0

    package static let maximumItems = 1_024

    /// Puts the questions of a worker, surface and tenant together, in their order.
    ///
    /// - Parameter maximumBytes: of the items of a call; one that is larger alone is left out, and is too large.
    package static func batches(of questions: [WorkerExchange.Question], maximumBytes: Int) -> [WorkerBatch] {
        var open: [Key: WorkerBatch] = [:]
        var full: [WorkerBatch] = []
        var order: [Key] = []
        for (index, question) in questions.enumerated() {
            let size = question.item.size
            guard size <= maximumBytes else { continue }
            let key = Key(worker: question.place.worker, surface: question.place.surface, tenant: question.tenant)
            if let batch = open[key], batch.bytes + size > maximumBytes || batch.members.count >= maximumItems {
                full.append(batch)
                open[key] = nil
            } else if open[key] == nil {
                order.append(key)
            }
            var batch = open[key] ?? WorkerBatch(worker: key.worker, surface: key.surface, tenant: key.tenant)
            batch.members.append(index)
            batch.bytes += size
            open[key] = batch
        }
        return full + order.compactMap { open[$0] }
    }

    private struct Key: Hashable {
        let worker: String
        let surface: WorkerSurface
        let tenant: String
    }
}
