print("AgentLoad")
