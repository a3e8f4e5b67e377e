"""File formats: CSV and iCalendar for exports, and the members of a JSON file for imports."""
