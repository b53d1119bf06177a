"""A labelled world for the matching rules: people, their accounts in six tenants, every fault of the contract, and the truth."""
