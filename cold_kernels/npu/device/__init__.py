"""A device ``npu`` for torch whose memory is the host's: any operator of torch's CPU runs on its tensors."""
