internal import Logging
internal import NATSTransport
internal import Stages

extension StageTask {
    func read(_ consumer: PullConsumer, _ worker: any StageWorker) async throws {
        while !isStopping {
            guard let messages = try await next(consumer) else { return }
            backlog.arrived(messages)
            for message in messages {
                // Stays so when it fails: what the worker holds then is half of a message, of which no snapshot may be taken.
                isReceiving = true
                // It says which messages it holds: this one must not be among them.
                _ = await snapshotting?.value
                do {
                    try await receive(message, worker)
                } catch {
                    hasFailed = true
                    throw error
                }
                isReceiving = false
                received = message.sequence
                receivedTime = message.timestampNanos
                messagesSinceSnapshot += 1
                if isStopping { return }
            }
            try await checkpointIfDue()
        }
    }

    /// Hands a message to the worker once it is whole.
    private func receive(_ message: JetStreamMessage, _ worker: any StageWorker) async throws {
        let headers = message.headers
        let outcome = chunks.receive(
            StageMessage(
                subject: message.subject, sequence: message.sequence,
                timeNanoseconds: UInt64(clamping: message.timestampNanos),
                contentType: headers[SkeinHeaders.contentType], stage: headers[SkeinHeaders.stage],
                isReplay: headers[SkeinHeaders.replayOf] != nil, payload: message.payload),
            chunk: headers[SkeinHeaders.chunk], id: headers[SkeinHeaders.chunkID])
        let letters = DeadLetterWriter(
            environment.jetStream, environment.metrics, logger, environment.letterLog)
        for letter in outcome.deadLetters {
            try await letters.write(letter)
            await worker.gaveUp(letter)
        }
        environment.metrics.add("skein_chunks_repeated_total", outcome.repeatedChunks, ["stage": key.stage])
        environment.metrics.add("skein_chunks_voided_total", outcome.voided, ["stage": key.stage])
        guard let whole = outcome.message else { return }
        try await worker.receive(whole)
        handed = message.sequence
    }

    /// - Returns: nil when reading ends because the task is being stopped.
    private func next(_ consumer: PullConsumer) async throws -> [JetStreamMessage]? {
        do throws(NATSError) {
            return try await consumer.next(max: 64)
        } catch {
            if isStopping { return nil }
            switch error.code {
            case .fenced: throw FencedError(key: key)
            case .streamChanged, .notFound:
                // Going on would skip or repeat events unseen.
                throw CollectorError(
                    "\(key): \(error.message) Run skein tasks reset --stage \(key.stage) to read what is there from its beginning"
                )
            default: throw error
            }
        }
    }

    /// Looks at the task's record every few seconds. A broker that does not answer is noticed elsewhere.
    private func checkRecord() async throws {
        guard let store, lastCheck.duration(to: .now) >= environment.recordInterval else { return }
        lastCheck = .now
        do {
            try await store.check()
        } catch is NATSError {}
    }

    // MARK: Time

    /// Does what is due now and then: checkpoints, ticks, figures.
    func keepTime() async throws {
        var nextFigures = ContinuousClock.now
        while true {
            try await Task.sleep(for: min(environment.checkpointInterval, .milliseconds(250)))
            try await checkpointIfDue()
            try await tickIfDue()
            if ContinuousClock.now >= nextFigures {
                await showFigures()
                nextFigures = .now + .seconds(1)
            }
            try await checkRecord()
        }
    }

    /// Tells an idle partition that time has passed when something waits for it. All tasks of the partition see it.
    private func tickIfDue() async throws {
        guard let worker, !isReceiving, let deadline = await deadline(worker), deadline <= Wall.nanoseconds(),
            lastTick.duration(to: .now) >= environment.tickInterval
        else { return }
        lastTick = .now
        let number = Wall.nanoseconds() / UInt64(max(1, environment.tickInterval / .nanoseconds(1)))
        let id = "tick/\(stage.stream)/\(key.partition)/\(number)"
        if await publishTick(id) == .streamFull {
            // What pins the stream may wait for nothing but time: one tick takes the place of those before it, which whoever has not read
            // them does not need.
            do {
                try await environment.jetStream.purgeStream(
                    stage.stream, subject: stage.storedTicks(partition: key.partition))
            } catch {
                return logger.debug("no room for a tick", metadata: ["error": "\(error)"])
            }
            _ = await publishTick(id + "/again")
        }
    }

    /// - Returns: what failed; the next tick follows.
    private func publishTick(_ id: String) async -> NATSError.Code? {
        do throws(NATSError) {
            _ = try await environment.jetStream.publish(
                subject: stage.tick(partition: key.partition), headers: [SkeinHeaders.messageID: id], payload: [])
            environment.metrics.add("skein_ticks_total", 1, ["stage": key.stage])
            return nil
        } catch {
            logger.debug("no tick", metadata: ["error": "\(error)"])
            return error.code
        }
    }

    // MARK: Figures

    /// What the messages say of those behind them is old while none is read: every few seconds the server is asked.
    private func askForUnread(_ consumer: PullConsumer) async {
        guard lastQuestion.duration(to: .now) >= .seconds(5) else { return }
        lastQuestion = .now
        let name = consumer.consumerName
        // Without an answer the figure stays what it was.
        guard let info = try? await environment.jetStream.consumerInfo(stream: stage.stream, consumer: name) else {
            return
        }
        let prefetched = consumer.bufferedCount
        backlog.unread(info.pending + UInt64(prefetched))
    }

    private func showFigures() async {
        guard let worker, let consumer else { return }
        await askForUnread(consumer)
        let labels: KeyValuePairs = ["stage": key.stage, "partition": String(key.partition)]
        backlog.confirmed(through: await confirmed(worker))
        let metrics = environment.metrics
        metrics.set("skein_task_prefetched_messages", Double(consumer.bufferedCount), labels)
        metrics.set("skein_chunked_messages_open", Double(chunks.openCount), labels)
        metrics.set("skein_prefetch_bytes", Double(environment.prefetch.used))
        metrics.set("skein_task_lag_messages", Double(backlog.messages), labels)
        metrics.set("skein_task_lag_seconds", backlog.seconds(now: Wall.nanoseconds()), labels)
    }
}
