"""Reports: panels, tables, charts and pages. Data in, text out."""
