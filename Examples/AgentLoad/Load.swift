import ATOF
import AgentKit
import Foundation

/// Events of several runs in turn, numbered within each: the UUID of an event is its run and its number.
struct Load {
    /// Nanoseconds that an append took.
    struct Times {
        var calm: [UInt32] = []
        var away: [UInt32] = []

        static func + (left: Times, right: Times) -> Times {
            Times(calm: left.calm + right.calm, away: left.away + right.away)
        }
    }

    let options: LoadOptions
    private let filling: String
    /// Only what a real run of this program can have.
    private let session = UInt64.random(in: 1...UInt64.max)

    init(_ options: LoadOptions) {
        self.options = options
        filling = String(repeating: "x", count: options.bytes)
    }

    /// - Parameter share: which of the runs.
    func run(_ publisher: SkeinPublisher, share: (index: Int, count: Int) = (0, 1)) -> Times {
        let total = options.events ?? options.rate * options.seconds
        var times = Times()
        times.calm.reserveCapacity(total)
        times.away.reserveCapacity(total)
        let start = Load.now
        var isAway = true
        for number in 0..<total where number % options.keys % share.count == share.index {
            let due = start + UInt64(number) * 1_000_000_000 / UInt64(options.rate)
            if options.events == nil, number % 16 == 0 {
                let now = Load.now
                if now < due { usleep(UInt32((due - now) / 1000)) }
                isAway = !publisher.statistics.isConnected
            }
            let run = number % options.keys
            let key = EventUUID(high: session, low: UInt64(run) << 32)
            let event = event(key, number: UInt64(number / options.keys + 1))
            let before = Load.now
            publisher.append(event, key: key)
            let time = UInt32(clamping: Load.now - before)
            if isAway { times.away.append(time) } else { times.calm.append(time) }
        }
        return times
    }

    private func event(_ key: EventUUID, number: UInt64) -> [UInt8] {
        let seconds = time(nil)
        var fields = EventFields(
            kind: .mark, uuid: EventUUID(high: key.high, low: key.low | number),
            timestamp: EventTime(seconds: Int64(seconds), nanoseconds: 0)!, name: "load")
        fields.parentUUID = key
        fields.data = Array("{\"number\":\(number),\"text\":\"\(filling)\"}".utf8)
        return fields.packed()
    }

    private static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// `VmHWM`: the most that was resident at any time.
    static var peakResidentBytes: Int {
        guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return 0 }
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return (line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
    }
}
