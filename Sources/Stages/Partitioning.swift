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
}
