internal import HTTPTransport

/// Posts each document to one URL (`atif-trajectories.md` 6.2). Redirects are not followed: a POST that becomes a GET would lose it.
struct HTTPDestination: TrajectoryDestination {
    let http: CollectorConfiguration.Store.HTTP
    let client: HTTPClient

    func store(_ document: StoredDocument) async -> StoreAnswer {
        var headers = [
            (name: "content-type", value: "application/json"),
            (name: "x-nemo-relay-atif-filename", value: document.name),
            (name: "x-nemo-relay-atif-session-id", value: document.id),
            (name: "x-skein-tenant", value: document.tenant),
            (name: "x-skein-revision", value: String(document.revision)),
        ]
        for header in http.headers {
            headers.removeAll { $0.name == header.name.lowercased() }
            headers.append(header)
        }
        return await client.answer(
            HTTPRequest(
                method: "POST", url: http.url, headers: headers, body: document.body, timeout: http.timeout,
                tls: http.tls)
        ) { StoreAnswer($0) }
    }
}
