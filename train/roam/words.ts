// Words that the rules need to know beside their kind of speech: what has no plural, what names a class of things, where
// things stand, which words mean the same picture. VQA's answers are short and of few kinds; the lists hold what is common.
import nlp from "compromise/two";
import pluralize from "pluralize";

const set = (words: string) => new Set(words.trim().split(/\s+/));

/** Nouns without an article. */
const mass = set(`
  water snow grass sand ice rain fog smoke mud dirt gravel dust hay straw wood metal plastic glass steel iron brick
  concrete cement stone marble tile leather cotton wool denim cloth paper cardboard rubber wicker granite carpet linoleum
  food fruit meat bread rice pasta cheese butter soup salad cereal ice-cream chocolate sugar salt pepper broccoli lettuce
  spinach corn cabbage celery garlic ginger bacon ham beef pork chicken turkey fish seafood sushi cake pizza milk
  coffee tea beer wine juice soda coke pepsi water lemonade frosting icing sauce ketchup mustard mayo mayonnaise cream
  hair fur luggage furniture clothing jewelry makeup traffic graffiti equipment machinery silverware china money trash
  garbage litter rubbish laundry scenery advertising writing text nature landscape sunlight sunshine shade darkness
  soap shampoo toothpaste lotion weather foliage ivy moss bamboo lace velvet linen suede vinyl tape rope art music homework work school
  tennis soccer golf hockey cricket rugby badminton polo skiing
  snowboarding surfing skateboarding swimming cooking breakfast lunch dinner brunch dessert chess wii
  hardwood parquet pavement asphalt soil rock fabric khaki wallpaper tinsel popcorn toast yogurt oatmeal
  everything something anything nothing everyone someone nobody daytime nighttime midday noon midnight dusk dawn
  winter summer spring fall autumn morning evening night afternoon christmas halloween downtown outside inside
`);

/** Games and sports that are played. */
export const sports = set(`
  tennis baseball soccer football basketball volleyball golf hockey cricket frisbee rugby badminton polo lacrosse softball
  chess wii cards pool billiards ping-pong
`);

/** Words that a kind of thing is asked for, and whose answers are things by themselves: "what kind of animal? bear". */
export const classes = set(`
  animal room sport food fruit vegetable vehicle bird furniture drink beverage meat device utensil appliance weather
  building insect instrument transportation flooring meal dessert person place scene object item material pattern
  print shape fabric utensil toy tool game event activity game snack store structure area location setting
  environment topping pet reptile mammal machine electronics garnish sauce cuisine condiment
  business profession position angle time season bread breed headwear clothing footwear
`);

/** Properties: what a thing is changed to, not what it is. */
export const properties = set(`
  name color number brand shape pattern size weather temperature material letter word text time season year date sport
  height width age length speed logo title price mood emotion expression condition breed style design theme gender sex
  direction position ethnicity race nationality language purpose country city state month day occasion holiday score
  make model ingredient type kind company manufacturer airline species texture print sign design relationship role profession
`);

/** Kinds that are said by themselves: "pug", not "pug dog". */
export const byThemselves = set(`
  poodle pug lab labrador beagle collie boxer terrier retriever shepherd chihuahua dachshund bulldog husky mutt dalmatian
  corgi spaniel puppy cap helmet beanie fedora sombrero visor hood crown bandana tiara pigeon seagull rose tulip daisy
  sunflower lily motorcycle scooter moped van suv taxi limo cruiser canoe kayak sailboat yacht raft ferry bagel croissant
`);

/** Who an answer to who may be, apart from names. */
export const isPerson = (word: string) =>
  /^(man|woman|boy|girl|child|kid|baby|person|lady|guy|couple|family|father|mother|dad|mom|son|daughter|bride|groom|chef|cop|clown|umpire|athlete|adult|teen|toddler|student|tourist|passenger|nurse|king|queen|pilot|captain|dog|cat|horse|bear|bird|cow|elephant|monkey|teddy|giraffe|sheep|statue)$/.test(
    word,
  ) || /(er|man|woman|boy|girl|ist|or|ian|ant)$/.test(word);

const onto = set(`
  table bed couch sofa floor ground wall chair bench counter countertop plate beach street road grass desk shelf sidewalk
  roof hill stove oven head skateboard surfboard horse motorcycle bike bicycle elephant stage court runway track tracks
  laptop keyboard toilet suitcase tower stool ledge railing fence sand snow dirt rug carpet mat blanket pillow
  nightstand dresser windowsill mantle slope ramp rail branch pole post platform deck porch balcony tray cutting-board
  left right back sign wire skis snowboard surfboard mountain hook ice pavement path trail rock rocks island farm tarmac
  pier dock bridge escalator stairs steps ceiling
`);
const at = set(
  "station airport zoo beach intersection crosswalk corner restaurant home school work party market",
);
/** Places that are said without anything before them. */
const adverbs = set(`
  outside inside outdoors indoors upstairs downstairs here there nearby away down up left right forward backward straight
  ahead everywhere downtown home overhead above below underneath offshore underwater upwards downwards sideways
  north south east west backwards forwards together apart
`);
const prepositions = set(`
  in on at under over above below behind beside near next by between against around along across inside outside into onto
  through towards toward from beneath underneath atop off to with out within among amongst upon past before after
`);

/** Spellings and names of one and the same. */
const same: Record<string, string> = Object.fromEntries(
  `
  grey gray|television tv|tvs tv|couch sofa|bicycle bike|motorbike motorcycle|photograph photo|picture photo|image photo
  airplane plane|aeroplane plane|jet plane|cellphone phone|refrigerator fridge|yeah yes|yep yes|nope no|lady woman
  child kid|doughnut donut|mom mother|automobile car|garbage trash|rubbish trash|colour color|colours colors
  racquet racket|airliner plane|nighttime night|daytime day|blond blonde|autumn fall|lorry truck|zero 0|none 0|one 1|two 2
  three 3|four 4|five 5|six 6|seven 7|eight 8|nine 9|ten 10|eleven 11|twelve 12|sidewalk pavement|stove oven
  hamburger burger|cows cow|mice mouse|outdoors outside|indoors inside|wooden wood|overcast cloudy|tan beige
  `
    .trim()
    .split(/[|\n]/)
    .map((pair) => pair.trim().split(" ") as [string, string]),
);

/** Words for small numbers. */
export const numbers = "no one two three four five six seven eight nine ten eleven twelve".split(" ");

/** Words, lower-cased, without marks at their ends. */
export const wordsOf = (text: string) =>
  text
    .toLowerCase()
    .split(/[^\p{L}\p{N}'’:.&-]+/u)
    .map((word) => word.replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, ""))
    .filter((word) => word !== "");

/**
 * What an answer comes to: without articles and little words, in the singular, one word for what is the same. Two answers
 * that come to the same change nothing to be seen.
 */
export function essence(answer: string): string {
  const words = wordsOf(answer.replace(/\bcell phone\b/gi, "phone"));
  const said = words.filter((word) => !/^(a|an|the|some|it|is|its|his|her|their|my|in|on|at|of)$/.test(word));
  return (said.length > 0 ? said : words)
    .map((word) => same[word] ?? same[singular(word)] ?? singular(word))
    .join(" ");
}

const unchanged = set(
  "glasses sunglasses pants shorts jeans scissors skis tennis gas bus grass dress glass tights swim trunks",
);

/** The singular of a noun. */
export function singular(word: string): string {
  return unchanged.has(word) || /(ss|us|is)$/.test(word) ? word : pluralize.singular(word);
}

/** Whether a noun is of many, such as dogs, or always said so, such as glasses. */
export function isPlural(word: string): boolean {
  if (
    /^(glasses|sunglasses|pants|shorts|jeans|scissors|skis|people|men|women|children|feet|teeth|mice|geese|sheep|cattle|tights|trunks|police|goggles|headphones|leggings|slacks|fries|stairs)$/.test(
      word,
    )
  )
    return true;
  return (
    !/(ss|us|is)$/.test(word) &&
    !unchanged.has(word) &&
    pluralize.isPlural(word) &&
    !pluralize.isSingular(word)
  );
}

/** Whether a text says where by itself: "on the bed", "outside". */
export const saysWhere = (text: string) =>
  prepositions.has(wordsOf(text)[0] ?? "") || adverbs.has(text.toLowerCase().trim());

export const isPreposition = (word: string) => prepositions.has(word);

const places = new Map<string, boolean>();

/** Whether an answer is the name of a country, a city or the like: names have no article. */
function isPlaceName(text: string): boolean {
  const known = places.get(text);
  if (known !== undefined) return known;
  const terms = nlp(text).docs.flat();
  const is =
    text !== "jersey" && terms.length > 0 && terms.every(({ tags }) => (tags as Set<string>).has("Place"));
  places.set(text, is);
  return is;
}

/** With a or an in front. */
export const withArticle = (noun: string) =>
  `${/^([aeio]|u(?!ni|s|te|k)|hour|honest|heir|[fhlmnrsx]$|8|11$|18$)/i.test(noun) ? "an" : "a"} ${noun}`;

const adjectives = set(`
  red blue green white black yellow orange brown pink purple gray grey tan silver gold beige blonde sunny cloudy rainy
  clear wet dry open closed young old happy sad male female hot cold warm cool round square striped plaid checkered
  floral solid big small large tall short long wild natural modern regular digital casual formal professional
`);
const determined =
  /^(a|an|the|some|any|no|his|her|their|its|my|your|our|this|that|these|those|one|two|three|four|five|six|seven|eight|nine|ten|it|him|them|me|you|several|many|lots|both|all|each|every|nothing|no|\d.*)$/i;

/**
 * A short answer as a thing: "camera" is a camera, "trees" and "water" are as they are. `known` says whether the answer's
 * last word is a noun at all.
 */
export function thing(answer: string): string {
  const text = answer.trim();
  const words = wordsOf(text);
  const [first = "", last = ""] = [words[0], words.at(-1)];
  if (words.length === 0 || words.length > 4 || determined.test(first)) return text;
  if (isPlaceName(text) || saysWhere(text) || /[^\p{L}\p{N}\s'’-]/u.test(text)) return text;
  // "pieces of cake" and "man with dog": the noun is before the little word, "cats and dogs": nothing fits both.
  const within = words.findIndex((word, i) => i > 0 && (prepositions.has(word) || word === "of"));
  const head = within > 0 ? words[within - 1]! : last;
  if (words.includes("and") || words.includes("or") || words.includes("&")) return text;
  if (
    within > 0 &&
    !determined.test(words[within + 1] ?? "a") &&
    /^(on|in|at) (left|right|middle|back|front|water|background|foreground|center|top|bottom)$/.test(
      words.slice(within).join(" "),
    )
  ) {
    return `${thing(words.slice(0, within).join(" "))} ${words[within]} the ${words[within + 1]}`;
  }
  if (mass.has(head) || isPlural(head) || adjectives.has(head) || gerund(head) || /ly$/.test(head))
    return text;
  return withArticle(text);
}

const nounsInIng = set(`
  building ceiling clothing painting railing wedding ring king thing string wing spring evening morning something anything
  nothing everything icing lighting crossing awning dressing topping frosting bedding flooring siding parking clearing
  wiring carving drawing pudding earring sibling duckling covering fencing tiling stuffing writing swing sling bling ping
  crossing outing landing opening handwriting
`);
/** Whether a word is an -ing form of a verb. */
export const gerund = (word: string) => /[aeiouy].*ing$/.test(word) && !nounsInIng.has(word);

/** The answer to where, with a word of place in front: "table" is on the table, "outside" is as it is. */
export function place(answer: string): string {
  const text = answer.trim();
  const words = wordsOf(text);
  const last = words.at(-1) ?? "";
  if (/^(left|right)( side)?$/.test(text.toLowerCase())) return `on the ${text}`;
  if (saysWhere(text)) return withDeterminer(text);
  const little = onto.has(last) ? "on" : at.has(last) ? "at" : "in";
  return withDeterminer(`${little} ${text}`);
}

/** "on bed" and "in car" are on the bed and in the car. */
export function withDeterminer(text: string): string {
  const side =
    /^(to|on|at|in) (?:the )?(left|right|side|top|front|back|edge|end|middle|bottom|center|corner) of (\w+)$/i.exec(
      text,
    );
  if (side) return `${side[1]} the ${side[2]} of the ${side[3]}`;
  const match = /^((?:(?:next|close) to|in front of|on top of|out of|[a-z]+)) (.+)$/i.exec(text);
  if (!match || !prepositions.has(match[1]!.split(" ")[0]!.toLowerCase())) return text;
  if (isPlaceName(match[2]!)) return text;
  const rest = wordsOf(match[2]!);
  const head = rest.at(-1)!;
  const bare =
    rest.length > 3 ||
    determined.test(rest[0]!) ||
    /^(bed|school|home|work|midair|town|line|motion|flight|use|of|to|top|front|black)$/.test(rest[0]!) ||
    (mass.has(head) && !/^(water|snow|grass|sand|dirt|ice|mud)$/.test(head)) ||
    isPreposition(rest[0]!);
  if (/^(on|in) bed$/.test(text)) return match[1] === "on" ? "on the bed" : text;
  return bare ? text : `${match[1]} the ${match[2]}`;
}

/** "The cat", "Put": the first letter large. */
export const large = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1);
