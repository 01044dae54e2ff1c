import ATOF
import Testing

@Suite("JSON object")
struct JSONObjectTests {
    @Test("replaces, inserts in order and removes")
    func subscripts() {
        var object = JSONObject([("m", 1), ("z", 2), ("m", 3)])
        #expect(object.compactText == #"{"m":3,"z":2}"#)
        object["a"] = "first"
        object["n"] = .null
        object["z"] = nil
        object["absent"] = nil
        object["m"] = [1.0, true]
        #expect(object.compactText == #"{"a":"first","m":[1.0,true],"n":null}"#)
    }

    @Test("takes keys as different that look alike in Unicode")
    func equivalence() {
        let composed = "\u{E9}"
        let decomposed = "e\u{301}"
        var object = JSONObject([(composed, 1), (decomposed, 2)])
        #expect(object.count == 2)
        #expect(object[composed] == 1)
        #expect(object[decomposed] == 2)
        object[composed] = nil
        #expect(object[composed] == nil)
        #expect(object[decomposed] == 2)
    }
}
