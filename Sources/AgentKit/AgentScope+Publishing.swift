internal import ATOF

extension AgentScope {
    func publish(_ events: [EventFields]) { for event in events { publish(event) } }

    /// Runs injectors, sanitizers and subscribers over an event, and hands it out (`middleware-guardrails-pii.md` 6).
    func publish(_ event: EventFields) {
        // Nearly always nobody looks at events here, and then nothing is made for it.
        let isWatched = run.hasRegistrations || runtime.registrations.concernsEvents
        runtime.output.append((isWatched ? processed(event) : event).packed(), key: frame.run)
    }

    private func processed(_ fields: EventFields) -> EventFields {
        let places = registrations
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
    /// - Returns: nil when one failed or dropped the payload.
    func sanitized(
        _ payload: JSON, name: String, _ registry: (Registrations) -> Registry<AgentMiddleware.PayloadSanitizer>
    ) -> JSON? {
        var payload = payload
        for sanitizer in registered(registry) {
            guard let next = try? sanitizer.value(name, payload) else { return nil }
            payload = next
        }
        return payload
    }
}
