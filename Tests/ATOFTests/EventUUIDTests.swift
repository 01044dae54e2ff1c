import ATOF
import Testing

@Suite("Event UUID")
struct EventUUIDTests {
    static let uuid = EventUUID(high: 0x019B_7711_9A74_7090, low: 0x8D72_D297_C162_4D91)
    static let text = "019b7711-9a74-7090-8d72-d297c1624d91"

    @Test(
        "accepts every form of ATOF",
        arguments: [
            text, "019B7711-9A74-7090-8D72-D297C1624D91", "019b77119a7470908d72d297c1624d91",
            "019b77119A7470908d72D297C1624d91",
            "{019b7711-9a74-7090-8d72-d297c1624d91}", "urn:uuid:019b7711-9a74-7090-8d72-d297c1624d91",
        ])
    func accepted(form: String) {
        #expect(EventUUID(form) == EventUUIDTests.uuid)
    }

    @Test(
        "rejects everything else",
        arguments: [
            "", "019b7711", "019b7711-9a74-7090-8d72-d297c1624d9", "019b7711-9a74-7090-8d72-d297c1624d911",
            "019b77119a74-7090-8d72-d297c1624d91-", "019b7711-9a747-090-8d72-d297c1624d91",
            "019b7711_9a74_7090_8d72_d297c1624d91",
            "g19b7711-9a74-7090-8d72-d297c1624d91", "{019b7711-9a74-7090-8d72-d297c1624d91",
            "{019b77119a7470908d72d297c1624d91}",
            "(019b7711-9a74-7090-8d72-d297c1624d91)", "urn:uuid:019b77119a7470908d72d297c1624d91",
            "uuid:019b7711-9a74-7090-8d72-d297c1624d91", " 019b7711-9a74-7090-8d72-d297c1624d91",
            "019b77119a7470908d72d297c1624dé",
        ])
    func rejected(form: String) {
        #expect(EventUUID(form) == nil)
    }

    @Test("is written in lower case with hyphens, and as 16 bytes in that order")
    func written() {
        #expect(EventUUIDTests.uuid.description == EventUUIDTests.text)
        let bytes: [UInt8] = [
            1, 0x9B, 0x77, 0x11, 0x9A, 0x74, 0x70, 0x90, 0x8D, 0x72, 0xD2, 0x97, 0xC1, 0x62, 0x4D, 0x91,
        ]
        #expect(EventUUIDTests.uuid.bytes == bytes)
        #expect(EventUUID(bytes: bytes) == EventUUIDTests.uuid)
        #expect(EventUUID(bytes: bytes.dropLast()) == nil)
        #expect(EventUUID(bytes: bytes + [0]) == nil)
    }

    @Test("orders as its bytes do")
    func order() {
        let ascending = [
            EventUUID(high: 0, low: 0), EventUUID(high: 0, low: .max), EventUUID(high: 1, low: 0),
            EventUUID(high: .max, low: 0),
        ]
        #expect(ascending.reversed().sorted() == ascending)
    }
}
