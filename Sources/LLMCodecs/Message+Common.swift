internal import ATOF

extension Message {
    /// A provider's message that goes beyond the common form, read without what goes beyond it; nil when it is no message of OpenAI's or
    /// Anthropic's, or not even that can be read.
    ///
    /// A codec keeps such a message whole, for nothing of it may be lost on its way back. For a reader its calls and parts count.
    package var withoutOwnMembers: Message? {
        guard let native, let members = native.value.objectValue else { return nil }
        switch native.provider {
        case Surface.openAIChat.rawValue: return OpenAIChat.commonMessage(members)
        case Surface.openAIResponses.rawValue: return OpenAIResponses.commonMessage(members)
        case Surface.anthropicMessages.rawValue: return Anthropic.commonMessage(members)
        default: return nil
        }
    }
}
