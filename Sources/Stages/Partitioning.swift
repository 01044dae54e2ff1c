package import ATOF

/// Which partition of PROCESSED a run belongs to.
package struct Partitioning: Sendable, Hashable {
    package let count: Int

    /// - Parameter count: partitions, at least 1; fixed when the streams are created.
    package init(count: Int) {
        precondition(count > 0, "checked when the configuration is read")
        self.count = count
    }

    /// FNV-1a over the 16 bytes of the root: the same in every collector, whatever its version or machine.
    package func partition(ofRoot root: EventUUID) -> Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for word in [root.high, root.low] {
            for shift in stride(from: 56, through: 0, by: -8) {
                hash = (hash ^ (word >> UInt64(shift) & 0xFF)) &* 0x100_0000_01B3
            }
        }
        return Int(hash % UInt64(count))
    }

    /// Where nats-server's subject transform `partition(count,1,2)` puts an event: FNV-1a of 32 bits over tenant and key, one after the
    /// other.
    package func partition(ofTenant tenant: String, key: String) -> Int {
        var hash: UInt32 = 0x811C_9DC5
        for text in [tenant, key] {
            for byte in text.utf8 { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
        }
        return Int(hash % UInt32(count))
    }

    /// A routing key with which an event of a tenant comes to a partition: a tick of ours.
    package func tickKey(partition: Int, tenant: String = SkeinSubjects.ownTenant) -> String? {
        // Of so many numbers in a row the hash leaves no partition out.
        (0..<count * 64).lazy.map { "tick-\($0)" }.first { self.partition(ofTenant: tenant, key: $0) == partition }
    }
}
