internal import ATOF
internal import Foundation
internal import Logging
internal import Trajectories

/// A file that could not be written; the task tries again.
struct TrajectoryFileError: Error, CustomStringConvertible {
    let description: String
}

/// Writes trajectories as files, each whole or not at all.
struct TrajectoryFiles: Sendable {
    let directory: String
    let template: FileNameTemplate

    /// - Throws: the file system's error: the task then begins again at its checkpoint, and the file is written later.
    func write(_ trajectory: FinishedTrajectory, openerMetadata: JSONValue?, _ body: [UInt8], _ context: StageContext)
        async throws
    {
        let name: String
        do {
            name = try template.render(sessionID: trajectory.id.description, metadata: openerMetadata)
        } catch {
            context.logger.warning(
                "trajectory has no file name, so no file is written", metadata: ["error": "\(error)"])
            context.metrics.add("skein_trajectory_files_failed_total", 1, ["reason": "name"])
            return
        }
        let url = URL(fileURLWithPath: directory).appendingPathComponent(name)
        do {
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(body).write(to: url, options: .atomic)
        } catch {
            throw TrajectoryFileError(
                description:
                    "components.config.atif.output_directory: \(url.path) cannot be written; make it writable, or name another"
            )
        }
        context.metrics.add("skein_trajectory_files_written_total")
    }
}
