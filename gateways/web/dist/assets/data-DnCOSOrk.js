import{r as e}from"./names-DayZEmOp.js";var t=[`smileys`,`people`,`animals`,`food`,`travel`,`activities`,`objects`,`symbols`],n={smileys:`
😀 grin happy grinsen froh|😃 smiley freude|😄 smile lachen lächeln|😁 beaming strahlen|😆 laughing lol|😅 sweat_smile schwitzen puh|🤣 rofl kugeln|😂 joy tears freudentränen
🙂 slight_smile lächeln|🙃 upside_down verkehrt|🫠 melting schmelzen|😉 wink zwinkern|😊 blush erröten|😇 innocent halo engel|🥰 hearts verliebt|😍 heart_eyes herzaugen
🤩 starstruck begeistert|😘 kiss kuss|😗 kissing küssen|😚 kissing_closed kuss|😙 kissing_smile kuss|🥲 bittersweet träne|😋 yum lecker|😛 tongue zunge
😜 crazy_tongue zunge|🤪 zany verrückt|😝 squint_tongue zunge|🤑 money geld|🤗 hug umarmung|🤭 giggle kichern|🫢 gasp huch|🫣 peek lugen
🤫 shush psst leise|🤔 thinking nachdenken hm|🫡 salute salutieren|🤐 zipper schweigen|🤨 raised_eyebrow skeptisch|😐 neutral|😑 expressionless ausdruckslos|😶 speechless sprachlos
🫥 dotted unsichtbar|😏 smirk grinsen|😒 unamused genervt|🙄 eye_roll augenrollen|😬 grimace grimasse|🤥 liar lügen|🫨 shaking zittern|😌 relieved erleichtert
😔 pensive traurig|😪 sleepy müde|🤤 drool sabbern|😴 sleeping schlafen zzz|😷 mask maske krank|🤒 thermometer fieber krank|🤕 bandage verletzt|🤢 nausea übel
🤮 vomit kotzen|🤧 sneeze niesen|🥵 hot heiß|🥶 cold kalt frieren|🥴 woozy schwindlig|😵 dizzy schwindel|🤯 mindblown explodieren|🤠 cowboy
🥳 party feiern|🥸 disguise verkleidet|😎 cool sonnenbrille|🤓 nerd|🧐 monocle monokel|😕 confused verwirrt|🫤 meh|😟 worried besorgt
🙁 frown traurig|☹️ sad traurig|😮 open_mouth oh|😯 hushed staunen|😲 astonished erstaunt|😳 flushed verlegen|🥺 pleading bitte|🥹 holding_tears gerührt
😦 frowning entsetzt|😧 anguished gequält|😨 fearful angst|😰 anxious angstschweiß|😥 disappointed enttäuscht|😢 cry weinen|😭 sob heulen|😱 scream schrei
😖 confounded|😣 persevere|😞 let_down enttäuscht|😓 downcast schweiß|😩 weary erschöpft|😫 tired müde|🥱 yawn gähnen|😤 huff schnauben
😡 rage wut|😠 angry böse|🤬 cursing fluchen|😈 devil teufel|💀 skull tot|💩 poop haufen|🤡 clown|👻 ghost geist
👽 alien|🤖 robot roboter|😺 cat_smile katze|😸 cat_grin katze|😻 cat_love katze|🙀 cat_scream katze|🙈 see_no_evil affe|🙊 speak_no_evil affe`,people:`
👋 wave winken hallo tschüss|🤚 raised_back hand|✋ hand stop halt|🖖 vulcan spock|🫱 right_hand|👌 ok perfekt|🤌 pinched italienisch|🤏 pinch bisschen
✌️ victory peace frieden|🤞 fingers_crossed daumen_drücken|🫰 snap|🤟 love_you|🤘 rock metal|🤙 call_me anrufen|👈 left links|👉 right rechts
👆 up oben|👇 down unten|☝️ point_up zeigen|🫵 you du|👍 thumbsup plus daumen gut ja|👎 thumbsdown minus daumen schlecht nein|✊ fist faust|👊 punch faust
👏 clap applaus klatschen|🙌 raised_hands hurra|🫶 heart_hands herz|👐 open_hands|🤲 palms|🤝 handshake abgemacht|🙏 pray please thanks danke bitte|✍️ write schreiben
💅 nails nägel|🤳 selfie|💪 muscle stark kraft|🦾 robot_arm|👂 ear ohr|👀 eyes augen schauen|🧠 brain gehirn|👅 tongue_only zunge
👶 baby|🧒 child kind|👦 boy junge|👧 girl mädchen|🧑 person mensch|👨 man mann|👩 woman frau|🧓 elder alt
🙅 no_gesture nein|🙆 ok_gesture ja|💁 tipping_hand info|🙋 raising_hand melden ich|🤦 facepalm|🤷 shrug achselzucken keine_ahnung|🧑‍💻 technologist programmieren arbeit|🧑‍🍳 cook kochen
🧑‍🎓 student|🧑‍🏫 teacher lehrer|🧑‍🔧 mechanic|🧑‍🔬 scientist forschung|🧑‍🎨 artist kunst|🧑‍🚀 astronaut|🦸 hero held|🧙 mage zauberer
🚶 walk gehen|🏃 run laufen|💃 dance tanzen|🕺 dancing tanzen|🧘 yoga|👫 couple paar|👪 family familie|🫂 hugging umarmen`,animals:`
🐶 dog hund|🐱 cat katze|🐭 mouse maus|🐹 hamster|🐰 rabbit hase|🦊 fox fuchs|🐻 bear bär|🐼 panda
🐨 koala|🐯 tiger|🦁 lion löwe|🐮 cow kuh|🐷 pig schwein|🐸 frog frosch|🐵 monkey affe|🐔 chicken huhn
🐧 penguin pinguin|🐦 bird vogel|🐤 chick küken|🦆 duck ente|🦉 owl eule|🦄 unicorn einhorn|🐝 bee biene|🐛 bug raupe
🦋 butterfly schmetterling|🐌 snail schnecke|🐞 ladybug marienkäfer|🕷️ spider spinne|🐢 turtle schildkröte|🐍 snake schlange|🐙 octopus krake|🦀 crab krabbe ferris rust
🐠 fish fisch|🐬 dolphin delfin|🐳 whale wal|🦈 shark hai|🐘 elephant elefant|🦒 giraffe|🐎 horse pferd|🐑 sheep schaf
🦔 hedgehog igel|🐿️ squirrel eichhörnchen|🐾 paws pfoten|🌵 cactus kaktus|🎄 christmas_tree weihnachten|🌲 tree baum|🌴 palm palme|🌱 seedling keim
🍀 clover klee glück|🍁 maple ahorn herbst|🍄 mushroom pilz|💐 bouquet blumen|🌷 tulip tulpe|🌹 rose|🌻 sunflower sonnenblume|🌸 blossom blüte
🌞 sun_face sonne|🌙 moon mond|⭐ star stern|🌟 glowing_star|✨ sparkles glitzer|⚡ zap blitz|🔥 fire feuer|🌈 rainbow regenbogen
☀️ sun sonne|⛅ cloudy wolke|☁️ cloud wolke|🌧️ rain regen|⛈️ storm gewitter|❄️ snow schnee|⛄ snowman schneemann|💧 drop tropfen`,food:`
☕ coffee kaffee klatsch|🍵 tea tee|🥛 milk milch|🍺 beer bier|🍻 cheers prost|🥂 clink anstoßen|🍷 wine wein|🍾 champagne sekt
🥤 drink getränk|🧃 juice saft|🍰 cake kuchen torte|🎂 birthday geburtstag|🧁 cupcake|🥧 pie|🍪 cookie keks|🍫 chocolate schokolade
🍩 donut|🍦 icecream eis|🍭 lolly|🍿 popcorn|🍎 apple apfel|🍐 pear birne|🍊 orange|🍋 lemon zitrone
🍌 banana banane|🍉 melon melone|🍇 grapes trauben|🍓 strawberry erdbeere|🍒 cherry kirsche|🥝 kiwi|🍍 pineapple ananas|🥑 avocado
🍅 tomato tomate|🥕 carrot karotte|🌽 corn mais|🥔 potato kartoffel|🧄 garlic knoblauch|🥦 broccoli|🥐 croissant gipfeli|🍞 bread brot
🥨 pretzel brezel|🧀 cheese käse|🥚 egg ei|🍳 fry spiegelei|🥓 bacon speck|🍔 burger|🍟 fries pommes|🍕 pizza
🌭 hotdog|🥪 sandwich|🌮 taco|🥗 salad salat|🍝 pasta spaghetti|🍜 ramen suppe|🍲 stew eintopf|🍣 sushi`,travel:`
🚗 car auto|🚕 taxi|🚌 bus|🚲 bike fahrrad velo|🛵 scooter roller|🚂 train zug|🚆 railway bahn|🚇 metro
🚊 tram|✈️ plane flugzeug|🚀 rocket rakete|🛸 ufo|🚁 helicopter|⛵ sailboat segeln|🚢 ship schiff|⚓ anchor anker
🏠 home haus daheim|🏢 office büro|🏥 hospital krankenhaus|🏫 school schule|🏰 castle schloss|⛪ church kirche|🏕️ camping zelt|🏖️ beach strand
🏔️ mountain berg|🌋 volcano vulkan|🌍 earth erde welt|🗺️ map karte|🧭 compass kompass|🚦 traffic ampel|🚧 construction baustelle|⛽ fuel tanken
🌅 sunrise sonnenaufgang|🌃 night nacht|🌉 bridge brücke|🎡 ferris_wheel riesenrad|🎢 rollercoaster achterbahn|🗼 tower turm|🗽 liberty|🧳 luggage koffer ferien`,activities:`
🎉 tada party feiern|🎊 confetti konfetti|🎈 balloon ballon|🎁 gift geschenk|🏆 trophy pokal|🥇 gold erster|🥈 silver zweiter|🥉 bronze dritter
🏅 medal medaille|⚽ soccer fußball|🏀 basketball|🏈 football|🎾 tennis|🏐 volleyball|🏓 pingpong tischtennis|🏸 badminton
⛷️ ski|🏂 snowboard|🏊 swim schwimmen|🚴 cycling radfahren|🧗 climbing klettern|🏋️ weights|🎮 game spielen|🕹️ joystick
🎲 dice würfel|♟️ chess schach|🧩 puzzle|🎯 dart ziel|🎳 bowling|🎸 guitar gitarre|🎹 piano klavier|🥁 drum trommel
🎤 microphone singen|🎧 headphones musik|🎬 movie film|🎨 art malen|🎭 theatre theater|🎪 circus zirkus|🎟️ ticket|🪄 wand zauber`,objects:`
💡 idea lamp idee|🔦 torch taschenlampe|📱 phone handy|💻 laptop computer|🖥️ desktop|⌨️ keyboard tastatur|🖱️ mouse_device maus|🖨️ printer drucker
📷 camera kamera foto|🎥 video|📺 tv|☎️ telephone telefon|🔋 battery akku|🔌 plug stecker|💾 floppy speichern|💿 disc
📚 books bücher|📖 book buch|📰 news zeitung|📝 memo notiz|✏️ pencil stift|📎 paperclip klammer|📌 pushpin|📍 location ort
📅 calendar kalender termin|📈 chart_up steigt|📉 chart_down fällt|📊 chart diagramm|📦 package paket|📧 email mail|📬 mailbox post|🔍 search suche
🔒 lock schloss|🔓 unlock offen|🔑 key schlüssel|🔨 hammer|🔧 wrench werkzeug|⚙️ gear zahnrad|🧰 toolbox|🧪 test versuch
🔬 microscope|🧲 magnet|💊 pill tablette|🩹 plaster pflaster|🧹 broom besen|🛒 cart einkauf|💰 money_bag geld|💶 euro
⏰ alarm wecker|⏳ hourglass warten|⌚ watch uhr|🔔 bell glocke|📢 loudspeaker ansage|💬 speech sprechblase|👓 glasses brille|☂️ umbrella schirm
🎒 backpack rucksack|👑 crown krone|💍 ring|💎 gem|🗑️ trash müll|🚪 door tür|🛏️ bed bett|🛁 bath bad`,symbols:`
❤️ heart herz liebe|🧡 orange_heart herz|💛 yellow_heart herz|💚 green_heart herz|💙 blue_heart herz|💜 purple_heart herz|🖤 black_heart herz|🤍 white_heart herz
💔 broken_heart herz|💕 two_hearts herzen|💖 sparkling_heart herz|💯 hundred|✅ check done erledigt ja|☑️ checkbox|✔️ tick haken|❌ cross nein falsch
➕ plus|➖ minus|❓ question frage|❗ exclamation achtung|⁉️ interrobang|⚠️ warning warnung|🚫 prohibited verboten|⛔ no_entry
♻️ recycle|🔁 repeat wiederholen|🔄 refresh|▶️ play|⏸️ pause|⏹️ stop_button|⬆️ arrow_up hoch|⬇️ arrow_down runter
⬅️ arrow_left|➡️ arrow_right|🔴 red rot|🟠 orange_circle|🟡 yellow gelb|🟢 green grün|🔵 blue blau|🟣 purple lila
⚫ black schwarz|⚪ white weiß|🆗 ok_button|🆕 new neu|🆘 sos hilfe|💤 zzz schlaf|🎵 music musik|➰ loop
🏁 finish ziel|🚩 flag fahne|🏳️‍🌈 pride regenbogen|🇪🇺 eu europa|🇨🇭 switzerland schweiz|🇩🇪 germany deutschland|🇦🇹 austria österreich|🇬🇧 uk england`};function r(t){return t.trim().split(/[|\n]/).map(t=>{let[n=``,...r]=t.trim().split(` `);return{emoji:n,name:r[0]??``,words:r.map(e)}})}var i=new Map(t.map(e=>[e,r(n[e])])),a=[...i.values()].flat();function o(t){let n=e(t.trim()).replace(/\s+/g,`_`);if(n===``)return[];let r=({words:e})=>{let t=e.findIndex(e=>e.startsWith(n)||e.includes(`_${n}`));return t<0?1/0:e[t]===n?t/10:t+1};return a.map(e=>({emoji:e,rank:r(e)})).filter(({rank:e})=>e!==1/0).sort((e,t)=>e.rank-t.rank).map(({emoji:e})=>e)}var s=`klatsch.emoji`,c=16;function l(){try{let e=JSON.parse(localStorage.getItem(s)??`[]`);return Array.isArray(e)?e.filter(e=>typeof e==`string`&&e.length<=32).slice(0,c):[]}catch{return[]}}function u(e){localStorage.setItem(s,JSON.stringify([e,...l().filter(t=>t!==e)].slice(0,c)))}export{t as CATEGORIES,i as EMOJI,o as find,l as recent,u as remember};