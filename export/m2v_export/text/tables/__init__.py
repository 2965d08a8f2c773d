"""What is read off the real tokenizer at export, as tables that the stages look up."""
