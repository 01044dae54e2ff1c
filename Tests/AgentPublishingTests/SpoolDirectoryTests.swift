import AgentPublishing
import Foundation
import Testing

@testable import AgentKit

@Suite("Spool directory")
struct SpoolDirectoryTests {
    private static func with(_ body: (String) throws -> Void) throws {
        let root = FileManager.default.temporaryDirectory.appendingPathComponent("spool-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: root) }
        try body(root)
    }

    private static func spool(_ root: String, _ sync: PublisherConfiguration.Spool.Sync) -> PublisherConfiguration.Spool
    {
        PublisherConfiguration.Spool(directory: root, sync: sync)
    }

    private static func files(_ root: String) -> [String] {
        (FileManager.default.enumerator(atPath: root)?.allObjects ?? []).compactMap { $0 as? String }.map {
            URL(fileURLWithPath: $0).lastPathComponent
        }.filter { $0.contains(".spool") }.sorted()
    }

    private let id = SpoolSegmentID(source: 0, number: 1)

    @Test("a folder of one's own can be made although an attempt before succeeded in part")
    func folderAgain() throws {
        try Self.with { root in
            try SpoolDirectory.prepare(root)
            let path = "\(root)/own"
            var holder: SpoolFolder? = try SpoolFolder.create(path)
            #expect(throws: PublisherError.self) { try SpoolFolder.create(path) }
            #expect(holder != nil)
            holder = nil
            _ = try SpoolFolder.create(path)
        }
    }

    @Test("forces a new file, its folder, the directory and that one's parent to the disk, unless it never shall")
    func forced() throws {
        for sync in [.always, .interval(.seconds(1)), .never] as [PublisherConfiguration.Spool.Sync] {
            try Self.with { root in
                var forced: [String] = []
                let directory = try SpoolDirectory(
                    Self.spool(root, sync), instance: "i",
                    force: { descriptor, _ in
                        let path = try? FileManager.default.destinationOfSymbolicLink(
                            atPath: "/proc/self/fd/\(descriptor)")
                        forced.append(path ?? "?")
                        return 0
                    })
                try directory.write(id, [SpoolRecordTests.batch()])
                directory.syncDue(now: 10_000_000_000)
                let own = try #require(try FileManager.default.contentsOfDirectory(atPath: root).first)
                let (real, parent) = (
                    URL(fileURLWithPath: root).resolvingSymlinksInPath().path,
                    URL(fileURLWithPath: root).resolvingSymlinksInPath().deletingLastPathComponent().path
                )
                if case .never = sync {
                    #expect(forced.isEmpty)
                } else {
                    #expect(forced.dropLast() == [real, parent, "\(real)/\(own)"])
                    #expect(forced.last?.hasSuffix(".spool") == true)
                }
                directory.end()
            }
        }
    }

    @Test("what cannot be forced to the disk is counted and tried again at the next interval")
    func notForced() throws {
        try Self.with { root in
            var works = true
            var forcedFiles = 0
            let directory = try SpoolDirectory(
                Self.spool(root, .interval(.seconds(1))), instance: "i",
                force: { _, isFolder in
                    if !isFolder { forcedFiles += 1 }
                    return works ? 0 : -1
                })
            try directory.write(id, [SpoolRecordTests.batch()])
            works = false
            directory.syncDue(now: 10_000_000_000)
            #expect(directory.failedSyncs == 1 && directory.nextSync == 11_000_000_000)
            works = true
            directory.syncDue(now: 11_000_000_000)
            #expect(directory.failedSyncs == 1 && directory.nextSync == nil && forcedFiles == 2)
            // At the end of a file too.
            try directory.write(id, [SpoolRecordTests.batch(2)])
            works = false
            try directory.write(SpoolSegmentID(source: 0, number: 2), [SpoolRecordTests.batch(3)])
            #expect(directory.failedSyncs == 3)
            directory.end()
        }
    }

    /// What a file begins with, and what becomes of it.
    enum Beginning: CaseIterable {
        case damaged, torn, laterVersion, laterVersionDamaged
    }

    @Test(
        "a file that cannot be read is set aside or left to a later version, and counted", arguments: Beginning.allCases
    )
    func unreadable(beginning: Beginning) throws {
        try Self.with { root in
            var directory = try SpoolDirectory(Self.spool(root, .never), instance: "a")
            try directory.write(id, [SpoolRecordTests.batch(), SpoolRecordTests.batch(2)])
            directory.end()
            let own = try #require(try FileManager.default.contentsOfDirectory(atPath: root).first)
            let name = try #require(Self.files(root).first)
            let file = URL(fileURLWithPath: "\(root)/\(own)/\(name)")
            var bytes = [UInt8](try Data(contentsOf: file))
            switch beginning {
            case .damaged: bytes[0] = 3
            case .torn: bytes.removeLast(bytes.count - 60)
            case .laterVersion, .laterVersionDamaged:
                let size = bytes.count / 2
                bytes[SpoolRecord.headerSize] = 9
                let checksum = bytes[SpoolRecord.headerSize..<size].withUnsafeBytes { CRC32C.checksum($0) }
                for index in 0..<4 { bytes[4 + index] = UInt8(truncatingIfNeeded: checksum >> (8 * index)) }
                if beginning == .laterVersionDamaged { bytes[20] ^= 1 }
            }
            try Data(bytes).write(to: file)
            directory = try SpoolDirectory(Self.spool(root, .never), instance: "b")
            #expect(directory.found.isEmpty && directory.unreadableFiles == 1)
            directory.end()
            #expect(Self.files(root) == [beginning == .laterVersion ? name : "\(name).damaged"])
            #expect(
                [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(root)/\(own)/\(Self.files(root)[0])"))) == bytes)
            // Set aside once; what is left is found again.
            directory = try SpoolDirectory(Self.spool(root, .never), instance: "c")
            #expect(directory.unreadableFiles == (beginning == .laterVersion ? 1 : 0))
            directory.end()
        }
    }
}
