internal import ATOF
internal import Logging
internal import Middleware
internal import Stages

/// Tells what the steps of the policy say beside what they do to events: alerts, failures, counts.
struct PolicyReporter: Sendable {
    private let context: StageContext
    /// By step.
    private var failures: [String: Int] = [:]

    init(_ context: StageContext) { self.context = context }

    mutating func count(_ notes: ChainNotes) {
        for (step, count) in notes.changes {
            context.metrics.add("skein_middleware_changes_total", count, ["step": step])
        }
        for failure in notes.failures { report(failure) }
    }

    /// What is told of the events of a message.
    func alerts(_ found: [ChainNotes.Alert], of message: StageMessage) -> [PolicyAlert] {
        let tenant = SkeinSubjects.tenant(ofStoredEvents: message.subject) ?? SkeinSubjects.ownTenant
        return found.map { alert in
            var document = PolicyAlert(
                rule: alert.rule, tenant: tenant, time: message.timeNanoseconds, message: alert.message,
                occasion: alert.event.description)
            (document.event, document.root) = (alert.event, alert.root)
            return document
        }
    }

    private mutating func report(_ failure: ChainNotes.Failure) {
        context.metrics.add("skein_middleware_failures_total", 1, ["step": failure.step])
        failures[failure.step, default: 0] += 1
        // The first, the tenth, the hundredth: a step that always fails does not fill the log.
        let count = failures[failure.step, default: 0]
        guard PolicyReporter.isPowerOfTen(count) else { return }
        context.logger.warning(
            "a step of the policy failed, the event goes on as its failure policy says",
            metadata: ["step": "\(failure.step)", "reason": "\(failure.reason)", "count": "\(count)"])
    }

    private static func isPowerOfTen(_ number: Int) -> Bool {
        var rest = number
        while rest >= 10, rest % 10 == 0 { rest /= 10 }
        return rest == 1
    }
}
