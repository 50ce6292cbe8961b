const fs = require("fs");
const mustache = require("mustache");

fs.mkdirSync("dist", {recursive: true});
fs.writeFileSync("dist/index.html", mustache.render("<h1>{{title}}</h1>\n", {title: "Scores"}));
