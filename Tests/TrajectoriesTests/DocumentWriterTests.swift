import ATOF
import Testing
import Trajectories

@Suite("Document writer")
struct DocumentWriterTests {
    @Test("indents by two spaces and sorts keys")
    func layout() {
        let value: JSONValue = ["b": [1, ["x": .null]], "a": [:], "c": [], "d": "é\n"]
        let text = """
            {
              "a": {},
              "b": [
                1,
                {
                  "x": null
                }
              ],
              "c": [],
              "d": "é\\n"
            }
            """
        #expect(String(decoding: DocumentWriter.bytes(of: value), as: UTF8.self) == text)
    }
}
