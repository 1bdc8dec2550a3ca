"""What the report is made of: its content as plain values, and one module per picture or wording."""
