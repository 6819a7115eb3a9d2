"""The generated reference: methods, tasks and the command line as Markdown."""
