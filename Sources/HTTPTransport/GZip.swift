internal import CZlib

/// The gzip format (RFC 1952), for request bodies.
package enum GZip {
    /// Compresses bytes into one gzip member.
    ///
    /// - Parameter level: 1 (fastest) to 9 (smallest). The default is the fastest: telemetry is repetitive, the
    ///   higher levels cost several times the CPU for little.
    package static func compress(_ bytes: [UInt8], level: Int = 1) -> [UInt8] {
        precondition((1...9).contains(level) && bytes.count <= UInt32.max)
        var stream = z_stream()
        // 15 bits of window, plus 16 for a gzip header instead of zlib's; 8 is zlib's default for memory.
        let opened = deflateInit2_(
            &stream, Int32(level), Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size))
        guard opened == Z_OK else { preconditionFailure("zlib could not be set up: out of memory") }
        defer { deflateEnd(&stream) }
        let capacity = Int(deflateBound(&stream, UInt(bytes.count)))
        return [UInt8](unsafeUninitializedCapacity: capacity) { output, count in
            bytes.withUnsafeBufferPointer { input in
                // zlib does not write to its input, it only lacks the const.
                stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
                stream.avail_in = UInt32(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(clamping: output.count)
                let end = deflate(&stream, Z_FINISH)
                precondition(end == Z_STREAM_END, "deflateBound is an upper bound")
                count = output.count - Int(stream.avail_out)
            }
        }
    }
}
