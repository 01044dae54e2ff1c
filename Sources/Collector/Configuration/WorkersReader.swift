internal import ATOF
internal import Middleware
internal import Stages

/// Reads the `workers` component: which workers are asked, for what, and what becomes of what they do not answer.
struct WorkersReader {
    private var workers: [WorkerSettings] = []
    private var names: Set<String> = []

    private static let maximumWorkers = 32

    static func read(_ component: inout Component) {
        var section = component.section()
        var reader = WorkersReader()
        reader.read(&section)
        component.finish(section)
        if component.isEnabled { component.configuration.middleware.workers = reader.workers }
    }

    private mutating func read(_ section: inout ConfigurationSection) {
        if let version = section.number("version", UInt32.self), version != 1 {
            section.complain("version", "is \(version), must be 1", code: "unsupported_config_version")
        }
        guard section.has("workers") else {
            _ = section.raw("workers")
            return section.complain("workers", "is missing; name at least one worker, or turn the component off")
        }
        let sections = section.sections("workers") ?? []
        if sections.count > WorkersReader.maximumWorkers {
            section.complain("workers", "has \(sections.count) workers, the most is \(WorkersReader.maximumWorkers)")
        }
        for worker in sections {
            var worker = worker
            if let settings = readWorker(&worker) { workers.append(settings) }
            section.finish(worker)
        }
    }

    private mutating func readWorker(_ section: inout ConfigurationSection) -> WorkerSettings? {
        let name = readName(&section)
        let surfaces = readSurfaces(&section)
        var settings = WorkerSettings(name: name ?? "", surfaces: surfaces)
        if let priority = section.number("priority", Int32.self) { settings.priority = priority }
        if let millis = bounded(&section, "deadline_millis", most: 60_000) { settings.deadline = .milliseconds(millis) }
        if let count = bounded(&section, "max_in_flight", most: 1_024) { settings.maximumInFlight = Int(count) }
        if let bytes = bounded(&section, "max_result_bytes", most: 64 << 20) {
            settings.maximumResultBytes = Int(bytes)
        }
        if let policy = section.choice("on_conflict", WorkerSettings.ConflictPolicy.self) {
            settings.onConflict = policy
        }
        if let digest = section.string("config_digest") {
            if !WorkerAnnouncement.isDigest(digest) {
                section.complain("config_digest", "must be 1 to 64 characters of A-Z, a-z, 0-9, _ and -")
            }
            settings.configDigest = digest
        }
        let tenants = section.strings("tenants")
        if tenants?.isEmpty == true {
            section.complain("tenants", "is empty; name the tenants, or leave it out for all of them")
        }
        for (index, tenant) in (tenants ?? []).enumerated() {
            if !SkeinSubjects.isTenant(tenant) {
                section.complain("tenants[\(index)]", "is \"\(tenant)\", a tenant is of a-z, 0-9, _ and -")
            }
            settings.tenants.append(tenant)
        }
        readFailures(&section, &settings)
        return name == nil ? nil : settings
    }

    private mutating func readName(_ section: inout ConfigurationSection) -> String? {
        guard let name = section.string("name") else {
            if !section.has("name") { section.complain("name", "is missing; give the name that the worker announces") }
            return nil
        }
        guard SkeinSubjects.isName(name), name.utf8.count <= 64 else {
            section.complain("name", "is \"\(name)\", must be 1 to 64 characters of a-z, 0-9, _ and -")
            return nil
        }
        guard name != NeMoGuardrails.name else {
            section.complain("name", "\"\(name)\" is the name of a component; choose another one")
            return nil
        }
        guard names.insert(name).inserted else {
            section.complain("name", "\"\(name)\" is the name of two workers; put their surfaces into one")
            return nil
        }
        return name
    }

    private func readSurfaces(_ section: inout ConfigurationSection) -> [WorkerSurface] {
        guard let words = section.strings("surfaces") else {
            if !section.has("surfaces") { section.complain("surfaces", "is missing; \(WorkersReader.known)") }
            return []
        }
        if words.isEmpty { section.complain("surfaces", "is empty; \(WorkersReader.known)") }
        var surfaces: [WorkerSurface] = []
        for (index, word) in words.enumerated() {
            guard let surface = WorkerSurface(rawValue: word) else {
                section.complain("surfaces[\(index)]", "is \"\(word)\"; \(WorkersReader.known)")
                continue
            }
            if surfaces.contains(surface) {
                section.complain("surfaces[\(index)]", "names \(word) twice")
            } else {
                surfaces.append(surface)
            }
        }
        return surfaces
    }

    private static let known =
        "surfaces are \(WorkerSurface.allCases.map(\.rawValue).joined(separator: ", "))"

    private func readFailures(_ section: inout ConfigurationSection, _ settings: inout WorkerSettings) {
        guard let table = section.object("on_failure") else { return }
        for member in table {
            let key = "on_failure.\(member.key)"
            guard let surface = WorkerSurface(rawValue: member.key), settings.surfaces.contains(surface) else {
                section.complain(key, "is none of the worker's surfaces")
                continue
            }
            guard let word = member.value.stringValue, let policy = WorkerSettings.FailurePolicy(rawValue: word) else {
                section.complain(key, "must be open or closed")
                continue
            }
            settings.onFailure[surface] = policy
        }
    }

    private func bounded(_ section: inout ConfigurationSection, _ key: String, most: Int64) -> Int64? {
        guard let value = section.integer(key) else { return nil }
        guard value <= most else {
            section.complain(key, "must be at most \(most), is \(value)")
            return nil
        }
        return value
    }
}
