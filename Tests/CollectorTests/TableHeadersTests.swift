import Testing

@testable import Collector

@Suite("Headers of tables")
struct TableHeadersTests {
    @Test(
        "without a name are found, where they are headers",
        arguments: [
            ("[[\n", 1), ("[\n", 1), ("[[ # c\n]]", 1), ("[=]", 1), ("[.a]", 1), ("[@]", 1), ("[[ä]]", 1),
            ("[ ünits ]", 1),
            ("\u{FEFF}[/http]", 1), ("a = 1\r\n\t[[ /components ]]", 2), ("a = \"\"\"\n[[\n\"\"\"\n[*]", 4),
            ("# [\n[$x]", 2), ("a = [ # ]\n[ -1 ],\n]\n[+]", 4), ("a = 'x\\'\n[!]", 2), ("a = \"\\\"\"\n[!]", 2),
            ("", nil), ("[a]\n[[ b.c ]]\n[\"x y\"]\n['z']", nil), ("[]", 1), ("[[[a]]]", 1), ("[\ra]", 1),
            ("[ [a]]", 1), ("[", nil), ("[[", nil),
            ("a = [\n[],\n[ [ 1 ] ],\n{ b = 1 },\n]", nil), ("a = '''\n[[\n'''\nb = 1", nil),
            ("a = \"[\" # [\n\"[b\" = '['", nil), ("a = { b = [\n[\n] ] }", nil),
        ] as [(String, Int?)])
    func names(text: String, line: Int?) {
        #expect(TableHeaders.lineWithoutName(in: text) == line)
        guard let line else { return }
        let error = #expect(throws: ConfigurationError.self) { try ConfigurationFile(text: text, name: "f.toml") }
        #expect(error?.diagnostics.first?.field == "f.toml:\(line)")
    }
}
