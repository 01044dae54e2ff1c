internal import ATOF
internal import Synchronization

extension AgentScope {
    /// - Parameter captured: what is registered here, where that was asked before.
    func publish(_ events: [EventFields], through captured: [Registrations]? = nil) {
        for event in events { publish(event, through: captured) }
    }

    /// Runs injectors, sanitizers and subscribers over an event, and hands it out; what they publish comes right behind it
    /// (`middleware-guardrails-pii.md` 6).
    func publish(_ event: EventFields, through captured: [Registrations]? = nil) {
        if let reactions = AgentScope.reactions,
            reactions.add(Reaction(scope: self, event: event, captured: captured))
        {
            return
        }
        // Nearly always nobody looks at events here, and then nothing is made for it.
        let isWatched =
            captured?.contains(where: \.concernsEvents)
            ?? (run.hasRegistrations || runtime.registrations.concernsEvents)
        guard isWatched else { return runtime.output.append(event.packed(), key: frame.run) }
        var waiting = [Reaction(scope: self, event: event, captured: captured)]
        while let next = waiting.popLast() {
            let reactions = Reactions()
            let fields = AgentScope.$reactions.withValue(reactions) {
                next.scope.processed(next.event, next.captured ?? next.scope.registrations)
            }
            next.scope.runtime.output.append(fields.packed(), key: next.scope.frame.run)
            let emitted = reactions.close()
            guard next.depth < AgentScope.deepestReaction else { continue }
            waiting += emitted.reversed().map { reaction in
                var reaction = reaction
                reaction.depth = next.depth + 1
                return reaction
            }
        }
    }

    /// A subscriber that notes something for every event would never come to an end: reactions to reactions are published so often, and
    /// not any deeper.
    private static let deepestReaction = 4

    /// Takes what callbacks publish while they look at an event.
    @TaskLocal private static var reactions: Reactions?

    private struct Reaction: Sendable {
        let scope: AgentScope
        let event: EventFields
        let captured: [Registrations]?
        var depth = 0
    }

    private final class Reactions: Sendable {
        /// Nil once the event is out: a task that a callback has begun still has this.
        private let waiting = Mutex<[Reaction]?>([])

        func add(_ reaction: Reaction) -> Bool {
            waiting.withLock { waiting in
                waiting?.append(reaction)
                return waiting != nil
            }
        }

        func close() -> [Reaction] { waiting.withLock { $0.take() } ?? [] }
    }

    private func processed(_ fields: EventFields, _ places: [Registrations]) -> EventFields {
        guard places.contains(where: \.concernsEvents) else { return fields }
        var fields = fields
        for injector in Registry.mergedByName(places.map(\.metadataInjectors)) {
            // What throws, and what is no metadata, adds nothing.
            guard let additions = (try? injector.value(AgentEvent(fields)))?.value.objectValue,
                InjectedMetadata.isValid(additions)
            else { continue }
            let metadata = JSON.encoded(fields.metadata)
            guard var object = metadata.isNull ? JSONObject() : metadata.value.objectValue else { continue }
            for addition in additions where object[addition.key] == nil { object[addition.key] = addition.value }
            fields.metadata = JSON(.object(object)).bytes
        }
        let sanitizers =
            switch fields.kind {
            case .mark: places.map(\.markSanitizers)
            case .scopeStart: places.map(\.scopeStartSanitizers)
            case .scopeEnd: places.map(\.scopeEndSanitizers)
            }
        sanitize(&fields, Registry.merged(sanitizers))
        let subscribers = Registry.merged(places.map(\.subscribers))
        if !subscribers.isEmpty {
            let event = AgentEvent(fields)
            for subscriber in subscribers { subscriber.value(event) }
        }
        return fields
    }

    /// Fails closed: an event whose sanitizer failed has no payload.
    private func sanitize(_ fields: inout EventFields, _ sanitizers: [Registry<AgentMiddleware.EventSanitizer>.Entry]) {
        var event = AgentEvent(fields)
        if sanitizers.isEmpty { return }
        for sanitizer in sanitizers {
            do {
                event.payloads = try sanitizer.value(event)
            } catch {
                event.payloads = AgentEvent.Payloads(data: .null, categoryProfile: .null, metadata: .null)
                break
            }
        }
        fields.data = event.data.bytes
        fields.metadata = event.metadata.bytes
        // A profile is an object or nothing.
        fields.categoryProfile =
            event.categoryProfile.value.objectValue == nil ? [] : event.categoryProfile.bytes
    }

    func makeUUID() -> EventUUID { runtime.clock.makeUUID(runtime.clock.now()) }

    /// Runs payload sanitizers one behind the other.
    ///
    /// - Parameter captured: what is registered here, where that was asked before.
    /// - Returns: nil when one failed or dropped the payload.
    func sanitized(
        _ payload: JSON, name: String, _ registry: (Registrations) -> Registry<AgentMiddleware.PayloadSanitizer>,
        through captured: [Registrations]? = nil
    ) -> JSON? {
        var payload = payload
        for sanitizer in Registry.merged((captured ?? registrations).map(registry)) {
            guard let next = try? sanitizer.value(name, payload) else { return nil }
            payload = next
        }
        return payload
    }
}
