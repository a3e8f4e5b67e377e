// Reads a calendar from standard input with ical.js, strictly, and writes what a program sees in it as JSON.
import { text } from "node:stream/consumers";
import ICAL from "ical.js";

ICAL.design.strict = true;

const calendar = new ICAL.Component(ICAL.parse(await text(process.stdin)));
const components = calendar.getAllSubcomponents().map((component) => {
    const value = (name) => component.getFirstPropertyValue(name);
    const day = value("dtstart") ?? value("due");
    return {
        kind: component.name,
        uid: value("uid"),
        title: value("summary"),
        description: value("description"),
        day: day ? [day.year, day.month, day.day] : null,
        whole_day: day?.isDate ?? null,
        lasts: component.name === "vevent" ? new ICAL.Event(component).duration.toString() : null,
        busy: component.name === "vevent" ? value("transp") : null,
        status: value("status"),
        completed_at: value("completed")?.toString() ?? null,
        priority: value("priority"),
        tags: component.getFirstProperty("categories")?.getValues() ?? [],
        position: value("x-todo-position"),
        extra: value("x-todo-extra"),
    };
});
process.stdout.write(JSON.stringify({ name: calendar.getFirstPropertyValue("x-wr-calname"), components }));
