#if canImport(Glibc)
    internal import Glibc
#else
    internal import Musl
#endif

extension UnsafeMutableBufferPointer<UInt8> {
    /// Asks for pages of 2 MiB, for memory that is about to be filled from its beginning: with pages of 4 KiB the kernel worked for a
    /// tenth of the time in which a long trajectory becomes a text. A kernel that has none gives small ones, so the answer is of no
    /// interest.
    ///
    /// Does nothing for less than 8 MiB, of which the last page may waste too much.
    func preferLargePages() {
        guard count >= 8 << 20, let baseAddress else { return }
        let page = UInt(sysconf(Int32(_SC_PAGESIZE)))
        let start = (UInt(bitPattern: baseAddress) + page - 1) / page * page
        let end = (UInt(bitPattern: baseAddress) + UInt(count)) / page * page
        guard let first = UnsafeMutableRawPointer(bitPattern: start), end > start else { return }
        _ = madvise(first, Int(end - start), MADV_HUGEPAGE)
    }
}
