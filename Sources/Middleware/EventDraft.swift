package import ATOF

/// An event on its way through the chain: the event as it came, and the fields that a step replaces. What it is, when it was and where it
/// belongs no step can change.
///
/// Payloads are parsed when a step asks for them. An event that no step changed is passed on as the bytes that came in.
package struct EventDraft {
    /// As the producer sent it; a step reads everything that no step can change from here.
    package let event: Event
    package let tenant: String
    private var changedData: Replacement = .none
    private var changedMetadata: Replacement = .none
    private var changedProfile: Replacement = .none
    private var changedUnknownFields: Replacement = .none
    private var changedName: String?
    private var changedAttributes: [String]?
    private var changedDataSchema: Event.DataSchema?
    private var changedVersion: String?
    private var changedCategory: String?
    /// Whether a step has replaced anything.
    package private(set) var isChanged = false

    private enum Replacement {
        case none
        case value(JSONValue?)
    }

    package init(_ event: Event, tenant: String) {
        self.event = event
        self.tenant = tenant
    }

    /// Nil is absent, the same as null.
    package var data: JSONValue? {
        get { EventDraft.current(changedData, event.data, &parsed.data) }
        set {
            changedData = .value(newValue?.nonNull)
            dataScan = nil
            didChange()
        }
    }

    package var metadata: JSONValue? {
        get { EventDraft.current(changedMetadata, event.metadata, &parsed.metadata) }
        set {
            changedMetadata = .value(newValue?.nonNull)
            metadataScan = nil
            didChange()
        }
    }

    package var categoryProfile: JSONValue? {
        get { EventDraft.current(changedProfile, event.categoryProfile, &parsed.profile) }
        set {
            changedProfile = .value(newValue?.nonNull)
            profileScan = nil
            didChange()
        }
    }

    package var unknownFields: JSONValue? {
        get { EventDraft.current(changedUnknownFields, event.unknownFields, &parsed.unknownFields) }
        set {
            changedUnknownFields = .value(newValue?.nonNull)
            unknownFieldsScan = nil
            didChange()
        }
    }

    package var name: String {
        get { changedName ?? event.name }
        set {
            changedName = newValue
            didRename()
        }
    }

    package var attributes: [String] {
        get { changedAttributes ?? event.attributes }
        set {
            changedAttributes = newValue
            didRename()
        }
    }

    /// A schema can be renamed, not taken away: what reads the data relies on it.
    package var dataSchema: Event.DataSchema? {
        get { changedDataSchema ?? event.dataSchema }
        set {
            changedDataSchema = newValue
            didRename()
        }
    }

    package var atofVersion: String {
        get { changedVersion ?? event.atofVersion }
        set {
            changedVersion = newValue
            didRename()
        }
    }

    /// A category that ATOF does not define, which may be any text; nil for all others, which no step can change.
    package var foreignCategory: String? {
        guard let category = event.category, category.raw != category.known.rawValue else { return nil }
        return changedCategory ?? category.raw
    }

    mutating func replaceForeignCategory(by text: String) {
        // It stays one that is not defined: nothing that it means to readers changes.
        changedCategory = Event.Category.Known(rawValue: text) == nil ? text : "redacted"
        didRename()
    }

    /// Up to three numbers with dots between: what versions of ATOF look like, and neither an address nor any other secret.
    var hasPlainVersion: Bool {
        let numbers = atofVersion.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return numbers.count <= 3
            && numbers.allSatisfy { (1...3).contains($0.count) && $0.allSatisfy { (0x30...0x39).contains($0) } }
    }

    /// The texts of payloads that no step has replaced, for those who need not parse them; nil when there is none or it is replaced.
    package var originalData: RawJSON? { EventDraft.original(changedData, event.data) }
    package var originalMetadata: RawJSON? { EventDraft.original(changedMetadata, event.metadata) }
    package var originalCategoryProfile: RawJSON? { EventDraft.original(changedProfile, event.categoryProfile) }
    package var originalUnknownFields: RawJSON? { EventDraft.original(changedUnknownFields, event.unknownFields) }

    // Of the fields as they are now: who replaces a field takes its scan away.
    private var dataScan: ScannedPayload?
    private var metadataScan: ScannedPayload?
    private var profileScan: ScannedPayload?
    private var unknownFieldsScan: ScannedPayload?
    private var nameScan: DetectorScan.Candidates?
    private var eventScan: DetectorScan.Candidates?

    private mutating func didChange() {
        isChanged = true
        eventScan = nil
    }

    private mutating func didRename() {
        nameScan = nil
        didChange()
    }

    /// The text of the payload as it is now, with what a scan of it tells every redactor; nil when there is none. Text and scan are made
    /// once for each change, however many ask.
    mutating func scannedData() -> ScannedPayload? { EventDraft.scanned(changedData, event.data, &dataScan) }
    mutating func scannedMetadata() -> ScannedPayload? {
        EventDraft.scanned(changedMetadata, event.metadata, &metadataScan)
    }
    mutating func scannedCategoryProfile() -> ScannedPayload? {
        EventDraft.scanned(changedProfile, event.categoryProfile, &profileScan)
    }
    mutating func scannedUnknownFields() -> ScannedPayload? {
        EventDraft.scanned(changedUnknownFields, event.unknownFields, &unknownFieldsScan)
    }

    /// Which detectors the event's name, attributes, schema, category and version may have something for.
    mutating func scannedNames() -> DetectorScan.Candidates {
        if let nameScan { return nameScan }
        var texts = attributes
        texts.append(name)
        if let schema = dataSchema { texts += [schema.name, schema.version] }
        if let category = foreignCategory { texts.append(category) }
        if !hasPlainVersion { texts.append(atofVersion) }
        let found = texts.reduce(into: DetectorScan.Candidates()) { found, text in
            TextBytes.withBytes(of: text) { bytes in
                // Escapes hide what they stand for.
                let hasEscapes = TextBytes.contains(bytes, UInt8(ascii: "\\"))
                found.formUnion(hasEscapes ? .all : DetectorScan.candidates(in: bytes, .text))
            }
        }
        nameScan = found
        return found
    }

    /// Which detectors anything of the event may have something for.
    mutating func scannedEvent() -> DetectorScan.Candidates {
        if let eventScan { return eventScan }
        var found = scannedNames()
        found.formUnion(scannedData()?.candidates ?? [])
        found.formUnion(scannedMetadata()?.candidates ?? [])
        found.formUnion(scannedCategoryProfile()?.candidates ?? [])
        found.formUnion(scannedUnknownFields()?.candidates ?? [])
        eventScan = found
        return found
    }

    private static func scanned(
        _ replacement: Replacement, _ original: RawJSON?, _ scan: inout ScannedPayload?
    ) -> ScannedPayload? {
        if let scan { return scan }
        switch replacement {
        case .none: scan = original.map { ScannedPayload(.original($0)) }
        case .value(let value):
            scan = value.map { value in
                ScannedPayload(.written(JSONWriter.bytes(expected: original?.count ?? 256) { $0.write(value) }))
            }
        }
        return scan
    }

    private static func original(_ replacement: Replacement, _ original: RawJSON?) -> RawJSON? {
        if case .none = replacement { original } else { nil }
    }

    /// What was parsed, so that it is parsed once, however many steps ask. A draft is not passed between threads.
    private final class Parsed {
        var data: JSONValue??
        var metadata: JSONValue??
        var profile: JSONValue??
        var unknownFields: JSONValue??
    }

    private let parsed = Parsed()

    private static func current(
        _ replacement: Replacement, _ original: RawJSON?, _ parsed: inout JSONValue??
    ) -> JSONValue? {
        switch replacement {
        case .none:
            if let known = parsed { return known }
            let value = original?.value.nonNull
            parsed = .some(value)
            return value
        case .value(let value): return value
        }
    }

    /// Replaces payloads that some step has parsed, and none has changed, by what it saw: of a member that is there twice it saw the
    /// last one only, and the text would carry the other one on.
    mutating func dropRepeatedMembers() {
        func seen(_ original: RawJSON?, _ parsed: JSONValue??) -> JSONValue? {
            guard let original, let value = parsed ?? nil, RepeatedMembers.arePresent(in: original, of: value) else {
                return nil
            }
            return value
        }
        if let value = seen(originalData, parsed.data) { data = value }
        if let value = seen(originalMetadata, parsed.metadata) { metadata = value }
        if let value = seen(originalCategoryProfile, parsed.profile) { categoryProfile = value }
        if let value = seen(originalUnknownFields, parsed.unknownFields) { unknownFields = value }
    }

    /// What an event sanitizer that failed leaves (`middleware-guardrails-pii.md` 6): nothing of what it governs, nor of what the
    /// reference does not know.
    package mutating func clearPayloads() {
        data = nil
        metadata = nil
        categoryProfile = nil
        unknownFields = nil
        if !hasPlainVersion { atofVersion = EventDraft.ownVersion }
    }

    /// The version of ATOF that Skein speaks.
    static let ownVersion = "0.1"

    /// The packed event with its replacements; nil when nothing was replaced.
    ///
    /// A field that is appended to a packed message would replace the one before, but leave its bytes on the wire: what was
    /// redacted would still be there. So the event is packed anew.
    package func packed() -> [UInt8]? { isChanged ? packedAnew() : nil }

    /// The packed event with its replacements, whether there are any or not.
    func packedAnew() -> [UInt8] {
        var fields = EventFields(kind: event.kind, uuid: event.uuid, timestamp: event.timestamp, name: name)
        fields.parentUUID = event.parentUUID
        fields.category = foreignCategory ?? event.category?.raw
        fields.attributes = attributes
        fields.dataSchema = dataSchema
        fields.data = EventDraft.text(changedData, event.data, dataScan)
        fields.metadata = EventDraft.text(changedMetadata, event.metadata, metadataScan)
        fields.categoryProfile = EventDraft.text(changedProfile, event.categoryProfile, profileScan)
        fields.unknownFields = EventDraft.text(changedUnknownFields, event.unknownFields, unknownFieldsScan)
        fields.propagationRootUUID = event.propagationRootUUID
        fields.atofVersion = atofVersion
        return fields.packed()
    }

    private static func text(
        _ replacement: Replacement, _ original: RawJSON?, _ scanned: ScannedPayload?
    ) -> [UInt8] {
        if case .written(let text)? = scanned?.text { return text }
        return switch replacement {
        case .none: original?.withBytes { Array($0) } ?? []
        case .value(let value): value.map { Array($0.compactText.utf8) } ?? []
        }
    }
}
