"""The contrastive score: what an expert's logits say beyond an amateur's, and the token that they choose."""
