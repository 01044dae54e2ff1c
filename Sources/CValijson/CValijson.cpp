#include "CValijson.h"

#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/constraints/concrete_constraints.hpp>
#include <valijson/schema.hpp>
#include <valijson/validation_visitor.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

// The schema is built from valijson's constraints directly. Its own parser knows what a $ref named by path, with names of properties as
// they are, so that "a/items" is taken for the items of "a", and `propertyNames` for the schema that it stands in.

using nlohmann::json;
using valijson::Subschema;
using valijson::adapters::Adapter;
using valijson::adapters::NlohmannJsonAdapter;
using valijson::constraints::Constraint;
namespace constraints = valijson::constraints;

static const size_t max_length = size_t(8) << 20;
static const size_t max_depth = 64;
static const size_t max_values = 500000;
static const size_t max_schema_depth = 24;
// Of a check, about a second at the most.
static const uint64_t max_steps = 2000000;

namespace {

struct TooDeep {};
struct TooLarge {};

// What a check uses up while it goes on; valijson has no place for it.
struct Run {
    skein_schema_matcher matcher;
    const void *context;
    uint64_t steps = 0;
    void charge(uint64_t count) {
        steps += count;
        if (steps > max_steps) throw TooLarge();
    }
};
thread_local Run *run = nullptr;

// MARK: JSON

// Makes values of a text within bounds, without recursion. Of a repeated name the last value counts. `json::parse` with a callback would
// look for discarded elements at the end of each object, in all of the array around it.
class Reader {
public:
    json root;
    skein_schema_result result = SKEIN_SCHEMA_CONFORMS;

    bool null() { return put(nullptr); }
    bool boolean(bool flag) { return put(flag); }
    bool number_integer(int64_t number) { return put(number); }
    // Numbers are such as valijson can tell: it takes large unsigned integers for negative ones, and 1.0 for no integer.
    bool number_unsigned(uint64_t number) { return number > uint64_t(INT64_MAX) ? put(double(number)) : put(int64_t(number)); }
    bool number_float(double number, const std::string &) {
        bool is_integer = std::floor(number) == number && std::fabs(number) < 9.2e18;
        return is_integer ? put(int64_t(number)) : put(number);
    }
    bool string(std::string &text) { return put(std::move(text)); }
    bool binary(std::vector<uint8_t> &) { return stop(SKEIN_SCHEMA_NO_JSON); }
    bool key(std::string &text) {
        name = &(*open.back())[std::move(text)];
        return true;
    }
    bool start_object(size_t) { return enter(json::object()); }
    bool start_array(size_t) { return enter(json::array()); }
    bool end_object() { return leave(); }
    bool end_array() { return leave(); }
    bool parse_error(size_t, const std::string &, const std::exception &) { return stop(SKEIN_SCHEMA_NO_JSON); }

private:
    std::vector<json *> open;
    json *name = nullptr, *last = nullptr;
    size_t count = 0;

    bool stop(skein_schema_result reason) {
        result = reason;
        return false;
    }

    bool put(json &&value) {
        if (++count > max_values) return stop(SKEIN_SCHEMA_TOO_LARGE);
        if (open.empty()) {
            last = &(root = std::move(value));
        } else if (open.back()->is_array()) {
            open.back()->push_back(std::move(value));
            last = &open.back()->back();
        } else {
            last = &(*name = std::move(value));
        }
        return true;
    }

    bool enter(json &&value) {
        if (open.size() == max_depth) return stop(SKEIN_SCHEMA_TOO_DEEP);
        if (!put(std::move(value))) return false;
        open.push_back(last);
        return true;
    }

    bool leave() {
        open.pop_back();
        return true;
    }
};

skein_schema_result parse(json &value, const uint8_t *text, size_t length) {
    if (length > max_length) return SKEIN_SCHEMA_TOO_LARGE;
    Reader reader;
    json::sax_parse(text, text + length, &reader);
    value = std::move(reader.root);
    return reader.result;
}

// MARK: Constraints of our own

// Stands first in every subschema, and counts what a value costs with it.
class Toll : public constraints::PolyConstraint {
public:
    // Names of members that are looked up, and values that it is compared with.
    uint64_t names = 0, values = 0;

    bool validate(const Adapter &target, const std::vector<std::string> &path, valijson::ValidationResults *) const override {
        uint64_t cost = 1;
        // valijson copies the path for each member and element below, names of any length included.
        for (const std::string &name : path) cost += name.size() / 64;
        if (names > 0 && target.isObject()) cost += names * (1 + target.getObjectSize() / 16);
        if (values > 0) {
            cost += values;
            // The text is copied for each.
            if (target.isString()) cost += values * (target.getString().size() / 4096);
        }
        run->charge(cost);
        return true;
    }

private:
    Constraint *cloneInto(void *place) const override { return new (place) Toll(*this); }
    size_t sizeOf() const override { return sizeof(Toll); }
};

// A keyword that valijson checks wrongly, or not within bounds.
class Keyword : public constraints::PolyConstraint {
public:
    virtual const char *name() const = 0;
};

// Characters up to the end of the text: valijson counts them up to the first zero.
class Length : public Keyword {
public:
    Length(bool is_maximum, uint64_t bound) : is_maximum(is_maximum), bound(bound) {}
    const char *name() const override { return is_maximum ? "maxLength" : "minLength"; }
    bool validate(const Adapter &target, const std::vector<std::string> &, valijson::ValidationResults *) const override {
        if (!target.isString()) return true;
        const std::string text = target.getString();
        run->charge(text.size() / 4096);
        uint64_t count = std::count_if(text.begin(), text.end(), [](char byte) { return (byte & 0xC0) != 0x80; });
        return is_maximum ? count <= bound : count >= bound;
    }

private:
    bool is_maximum;
    uint64_t bound;
    Constraint *cloneInto(void *place) const override { return new (place) Length(*this); }
    size_t sizeOf() const override { return sizeof(Length); }
};

// In linear time, and on little stack.
class Pattern : public Keyword {
public:
    explicit Pattern(size_t index) : index(index) {}
    const char *name() const override { return "pattern"; }
    bool validate(const Adapter &target, const std::vector<std::string> &, valijson::ValidationResults *) const override {
        if (!target.isString()) return true;
        const std::string text = target.getString();
        run->charge(text.size() / 256);
        return run->matcher(run->context, index, reinterpret_cast<const uint8_t *>(text.data()), text.size());
    }

private:
    size_t index;
    Constraint *cloneInto(void *place) const override { return new (place) Pattern(*this); }
    size_t sizeOf() const override { return sizeof(Pattern); }
};

// valijson's takes texts for numbers, and 7.5 for a multiple of 7.
class MultipleOf : public Keyword {
public:
    explicit MultipleOf(int64_t divisor) : divisor(divisor) {}
    const char *name() const override { return "multipleOf"; }
    bool validate(const Adapter &target, const std::vector<std::string> &, valijson::ValidationResults *) const override {
        if (target.isInteger()) return target.getInteger() % divisor == 0;
        return !target.isDouble() || std::fmod(target.getDouble(), double(divisor)) == 0;
    }

private:
    int64_t divisor;
    Constraint *cloneInto(void *place) const override { return new (place) MultipleOf(*this); }
    size_t sizeOf() const override { return sizeof(MultipleOf); }
};

// By sorting: valijson compares all pairs.
class UniqueItems : public Keyword {
public:
    const char *name() const override { return "uniqueItems"; }
    bool validate(const Adapter &target, const std::vector<std::string> &, valijson::ValidationResults *) const override {
        if (!target.isArray()) return true;
        std::vector<std::string> items;
        target.applyToArray([&](const Adapter &item) {
            items.emplace_back();
            write(item, items.back());
            return true;
        });
        std::sort(items.begin(), items.end());
        return std::adjacent_find(items.begin(), items.end()) == items.end();
    }

private:
    // The same text for equal values; each part is known by its length. As deep as the document, so at most `max_depth`.
    static void write(const Adapter &value, std::string &text) {
        run->charge(1);
        if (value.isString()) {
            append('s', value.getString(), text);
        } else if (value.isNumber()) {
            char digits[32];
            int length = value.isInteger() ? std::snprintf(digits, sizeof digits, "%lld", (long long)value.getInteger())
                                           : std::snprintf(digits, sizeof digits, "%.17g", value.getDouble());
            append('n', std::string(digits, size_t(length)), text);
        } else if (value.isBool()) {
            text += value.getBool() ? 't' : 'f';
        } else if (value.isArray()) {
            text += '[';
            value.applyToArray([&](const Adapter &item) {
                write(item, text);
                return true;
            });
            text += ']';
        } else if (value.isObject()) {
            std::vector<std::string> members;
            value.applyToObject([&](const std::string &key, const Adapter &member) {
                members.emplace_back();
                append('k', key, members.back());
                write(member, members.back());
                return true;
            });
            std::sort(members.begin(), members.end());
            text += '{';
            for (const std::string &member : members) text += member;
            text += '}';
        } else {
            text += '0';
        }
    }

    static void append(char mark, const std::string &part, std::string &text) {
        text += mark;
        text += std::to_string(part.size());
        text += ':';
        text += part;
    }

    Constraint *cloneInto(void *place) const override { return new (place) UniqueItems(*this); }
    size_t sizeOf() const override { return sizeof(UniqueItems); }
};

// MARK: Schemas

class Builder {
public:
    explicit Builder(valijson::Schema &schema) : schema(schema) {}

    void build(const json &source, const Subschema *target, size_t depth) {
        if (depth > max_schema_depth) throw TooDeep();
        if (source.is_boolean()) {
            schema.addConstraintToSubschema(Toll(), target);
            schema.setAlwaysInvalid(target, !source.get<bool>());
            return;
        }
        schema.addConstraintToSubschema(toll(source), target);
        addAssertions(source, target);
        addCombinations(source, target, depth + 1);
        addMembers(source, target, depth + 1);
        addElements(source, target, depth + 1);
    }

private:
    valijson::Schema &schema;

    static const json *member(const json &object, const char *name) {
        auto found = object.find(name);
        return found == object.end() ? nullptr : &*found;
    }

    static Toll toll(const json &source) {
        Toll toll;
        for (const char *name : {"properties", "dependencies"}) {
            if (auto names = member(source, name)) toll.names += names->size();
        }
        if (auto names = member(source, "required")) toll.names += names->size();
        if (auto values = member(source, "enum")) toll.values += values->size();
        if (member(source, "const")) toll.values += 1;
        return toll;
    }

    template <typename Kind> void add(const Kind &constraint, const Subschema *target) {
        schema.addConstraintToSubschema(constraint, target);
    }

    const Subschema *subschema(const json &source, size_t depth) {
        const Subschema *made = schema.createSubschema();
        build(source, made, depth);
        return made;
    }

    // Nothing is asked of it, but it counts.
    const Subschema *anything(size_t depth) { return subschema(json(true), depth); }

    template <typename Kind>
    void addCount(const json &source, const char *name, void (Kind::*set)(uint64_t), const Subschema *target) {
        if (auto count = member(source, name)) {
            Kind constraint;
            (constraint.*set)(count->get<uint64_t>());
            add(constraint, target);
        }
    }

    void addAssertions(const json &source, const Subschema *target) {
        if (auto type = member(source, "type")) {
            constraints::TypeConstraint constraint;
            auto name = [&](const json &word) {
                constraint.addNamedType(constraints::TypeConstraint::jsonTypeFromString(word.get<std::string>()));
            };
            if (type->is_array()) {
                for (const json &word : *type) name(word);
            } else {
                name(*type);
            }
            add(constraint, target);
        }
        if (auto value = member(source, "const")) {
            constraints::ConstConstraint constraint;
            constraint.setValue(NlohmannJsonAdapter(*value));
            add(constraint, target);
        }
        if (auto values = member(source, "enum")) {
            constraints::EnumConstraint constraint;
            for (const json &value : *values) constraint.addValue(NlohmannJsonAdapter(value));
            add(constraint, target);
        }
        for (bool is_exclusive : {false, true}) {
            if (auto bound = member(source, is_exclusive ? "exclusiveMinimum" : "minimum")) {
                constraints::MinimumConstraint constraint;
                constraint.setMinimum(bound->get<double>());
                constraint.setExclusiveMinimum(is_exclusive);
                add(constraint, target);
            }
            if (auto bound = member(source, is_exclusive ? "exclusiveMaximum" : "maximum")) {
                constraints::MaximumConstraint constraint;
                constraint.setMaximum(bound->get<double>());
                constraint.setExclusiveMaximum(is_exclusive);
                add(constraint, target);
            }
        }
        if (auto divisor = member(source, "multipleOf")) add(MultipleOf(divisor->get<int64_t>()), target);
        if (auto bound = member(source, "minLength")) add(Length(false, bound->get<uint64_t>()), target);
        if (auto bound = member(source, "maxLength")) add(Length(true, bound->get<uint64_t>()), target);
        if (auto index = member(source, "pattern")) add(Pattern(index->get<uint64_t>()), target);
        addCount(source, "minItems", &constraints::MinItemsConstraint::setMinItems, target);
        addCount(source, "maxItems", &constraints::MaxItemsConstraint::setMaxItems, target);
        addCount(source, "minProperties", &constraints::MinPropertiesConstraint::setMinProperties, target);
        addCount(source, "maxProperties", &constraints::MaxPropertiesConstraint::setMaxProperties, target);
        if (auto flag = member(source, "uniqueItems"); flag && flag->get<bool>()) add(UniqueItems(), target);
        if (auto names = member(source, "required")) {
            constraints::RequiredConstraint constraint;
            for (const json &name : *names) constraint.addRequiredProperty(name.get<std::string>());
            add(constraint, target);
        }
    }

    template <typename Kind> void addList(const json &source, const char *name, const Subschema *target, size_t depth) {
        if (auto list = member(source, name)) {
            Kind constraint;
            for (const json &element : *list) constraint.addSubschema(subschema(element, depth));
            add(constraint, target);
        }
    }

    void addCombinations(const json &source, const Subschema *target, size_t depth) {
        addList<constraints::AllOfConstraint>(source, "allOf", target, depth);
        addList<constraints::AnyOfConstraint>(source, "anyOf", target, depth);
        addList<constraints::OneOfConstraint>(source, "oneOf", target, depth);
        if (auto other = member(source, "not")) {
            constraints::NotConstraint constraint;
            constraint.setSubschema(subschema(*other, depth));
            add(constraint, target);
        }
        if (auto condition = member(source, "if")) {
            constraints::ConditionalConstraint constraint;
            constraint.setIfSubschema(subschema(*condition, depth));
            if (auto then = member(source, "then")) constraint.setThenSubschema(subschema(*then, depth));
            if (auto otherwise = member(source, "else")) constraint.setElseSubschema(subschema(*otherwise, depth));
            add(constraint, target);
        }
    }

    void addMembers(const json &source, const Subschema *target, size_t depth) {
        auto properties = member(source, "properties"), others = member(source, "additionalProperties");
        if (properties || others) {
            constraints::PropertiesConstraint constraint;
            if (properties) {
                for (const auto &property : properties->items()) {
                    constraint.addPropertySubschema(property.key(), subschema(property.value(), depth));
                }
            }
            // Null allows no others.
            if (!others) {
                constraint.setAdditionalPropertiesSubschema(anything(depth));
            } else if (*others != json(false)) {
                constraint.setAdditionalPropertiesSubschema(subschema(*others, depth));
            }
            add(constraint, target);
        }
        if (auto names = member(source, "propertyNames")) {
            constraints::PropertyNamesConstraint constraint;
            constraint.setSubschema(subschema(*names, depth));
            add(constraint, target);
        }
        if (auto dependencies = member(source, "dependencies")) {
            constraints::DependenciesConstraint constraint;
            for (const auto &dependency : dependencies->items()) {
                if (dependency.value().is_array()) {
                    constraint.addPropertyDependencies(dependency.key(), dependency.value().get<std::vector<std::string>>());
                } else {
                    constraint.addSchemaDependency(dependency.key(), subschema(dependency.value(), depth));
                }
            }
            add(constraint, target);
        }
    }

    void addElements(const json &source, const Subschema *target, size_t depth) {
        auto items = member(source, "items");
        if (items && items->is_array()) {
            constraints::LinearItemsConstraint constraint;
            for (const json &item : *items) constraint.addItemSubschema(subschema(item, depth));
            auto others = member(source, "additionalItems");
            if (!others) {
                constraint.setAdditionalItemsSubschema(anything(depth));
            } else if (*others != json(false)) {
                constraint.setAdditionalItemsSubschema(subschema(*others, depth));
            }
            add(constraint, target);
        } else if (items) {
            constraints::SingularItemsConstraint constraint;
            constraint.setItemsSubschema(subschema(*items, depth));
            add(constraint, target);
        }
        if (auto contained = member(source, "contains")) {
            constraints::ContainsConstraint constraint;
            constraint.setSubschema(subschema(*contained, depth));
            add(constraint, target);
        }
    }
};

// MARK: Violations

typedef std::unordered_map<std::string, std::regex> Expressions;

bool conforms(const NlohmannJsonAdapter &value, const Subschema &schema, Expressions &expressions) {
    return valijson::ValidationVisitor<NlohmannJsonAdapter>(value, {}, true, nullptr, expressions).validateSchema(schema);
}

// Finds the first keyword that a value violates, and where. valijson's own results have an entry for each violation that there is, with texts
// of the document.
class Explanation : public constraints::ConstraintVisitor {
public:
    std::string keyword, pointer;

    Explanation(const NlohmannJsonAdapter &value, Expressions &expressions) : value(value), expressions(expressions) {}

    // Whether there is nothing to explain.
    bool examine(const Subschema &schema) {
        if (schema.getAlwaysInvalid()) return blame("false");
        Subschema::ApplyFunction each = [this](const Constraint &constraint) { return constraint.accept(*this); };
        return schema.applyStrict(each);
    }

    bool visit(const AllOfConstraint &all) override {
        bool holds = true;
        all.applyToSubschemas([&](unsigned, const Subschema *schema) { return holds = descend(value, *schema, nullptr, "allOf"); });
        return holds;
    }
    bool visit(const AnyOfConstraint &constraint) override { return check(constraint, "anyOf"); }
    bool visit(const ConditionalConstraint &constraint) override { return check(constraint, "if"); }
    bool visit(const ConstConstraint &constraint) override { return check(constraint, "const"); }
    bool visit(const ContainsConstraint &constraint) override { return check(constraint, "contains"); }
    bool visit(const DependenciesConstraint &constraint) override { return check(constraint, "dependencies"); }
    bool visit(const EnumConstraint &constraint) override { return check(constraint, "enum"); }
    bool visit(const FormatConstraint &constraint) override { return check(constraint, "format"); }
    bool visit(const LinearItemsConstraint &items) override {
        if (!value.isArray()) return true;
        std::vector<const Subschema *> schemas;
        items.applyToItemSubschemas([&](unsigned, const Subschema *schema) { return schemas.push_back(schema), true; });
        size_t index = 0;
        for (const NlohmannJsonAdapter item : value.getArray()) {
            bool is_other = index >= schemas.size();
            const Subschema *schema = is_other ? items.getAdditionalItemsSubschema() : schemas[index];
            if (!schema) return blame("additionalItems");
            if (!descend(item, *schema, std::to_string(index++).c_str(), is_other ? "additionalItems" : "items")) return false;
        }
        return true;
    }
    bool visit(const MaximumConstraint &constraint) override {
        return check(constraint, constraint.getExclusiveMaximum() ? "exclusiveMaximum" : "maximum");
    }
    bool visit(const MaxItemsConstraint &constraint) override { return check(constraint, "maxItems"); }
    bool visit(const MaxLengthConstraint &constraint) override { return check(constraint, "maxLength"); }
    bool visit(const MaxPropertiesConstraint &constraint) override { return check(constraint, "maxProperties"); }
    bool visit(const MinimumConstraint &constraint) override {
        return check(constraint, constraint.getExclusiveMinimum() ? "exclusiveMinimum" : "minimum");
    }
    bool visit(const MinItemsConstraint &constraint) override { return check(constraint, "minItems"); }
    bool visit(const MinLengthConstraint &constraint) override { return check(constraint, "minLength"); }
    bool visit(const MinPropertiesConstraint &constraint) override { return check(constraint, "minProperties"); }
    bool visit(const MultipleOfDoubleConstraint &constraint) override { return check(constraint, "multipleOf"); }
    bool visit(const MultipleOfIntConstraint &constraint) override { return check(constraint, "multipleOf"); }
    bool visit(const NotConstraint &constraint) override { return check(constraint, "not"); }
    bool visit(const OneOfConstraint &constraint) override { return check(constraint, "oneOf"); }
    bool visit(const PatternConstraint &constraint) override { return check(constraint, "pattern"); }
    bool visit(const PolyConstraint &constraint) override {
        auto own = dynamic_cast<const Keyword *>(&constraint);
        return check(constraint, own ? own->name() : "");
    }
    bool visit(const PropertiesConstraint &properties) override {
        if (!value.isObject()) return true;
        std::vector<std::string> known;
        const NlohmannJsonAdapter::Object object = value.getObject();
        bool holds = true;
        properties.applyToProperties([&](const auto &name, const Subschema *schema) {
            auto found = object.find(name.c_str());
            known.push_back(name.c_str());
            if (found == object.end()) return true;
            return holds = descend((*found).second, *schema, name.c_str(), "properties");
        });
        if (!holds) return false;
        // They come in their order.
        const Subschema *others = properties.getAdditionalPropertiesSubschema();
        for (const NlohmannJsonAdapter::ObjectMember member : object) {
            if (std::binary_search(known.begin(), known.end(), member.first)) continue;
            if (!others) return blame("additionalProperties");
            if (!descend(member.second, *others, "*", "additionalProperties")) return false;
        }
        return true;
    }
    bool visit(const PropertyNamesConstraint &constraint) override { return check(constraint, "propertyNames"); }
    bool visit(const RequiredConstraint &required) override {
        if (!value.isObject()) return true;
        const NlohmannJsonAdapter::Object object = value.getObject();
        bool holds = true;
        required.applyToRequiredProperties([&](const auto &name) {
            holds = object.find(name.c_str()) != object.end();
            if (!holds) {
                append(name.c_str());
                blame("required");
            }
            return holds;
        });
        return holds;
    }
    bool visit(const SingularItemsConstraint &items) override {
        if (!value.isArray()) return true;
        size_t index = 0;
        for (const NlohmannJsonAdapter item : value.getArray()) {
            if (!descend(item, *items.getItemsSubschema(), std::to_string(index++).c_str(), "items")) return false;
        }
        return true;
    }
    bool visit(const TypeConstraint &constraint) override { return check(constraint, "type"); }
    bool visit(const UniqueItemsConstraint &constraint) override { return check(constraint, "uniqueItems"); }

private:
    const NlohmannJsonAdapter value;
    Expressions &expressions;

    bool blame(const char *name) {
        keyword = name;
        return false;
    }

    void append(const char *name) {
        pointer += '/';
        for (; *name; name++) {
            if (*name == '~') pointer += "~0";
            else if (*name == '/') pointer += "~1";
            else pointer += *name;
        }
    }

    template <typename Kind> bool check(const Kind &constraint, const char *name) {
        valijson::ValidationVisitor<NlohmannJsonAdapter> visitor(value, {}, true, nullptr, expressions);
        return visitor.visit(constraint) || blame(name);
    }

    // What is below is looked into only if it does not conform, so that all in all each level is checked twice.
    bool descend(const NlohmannJsonAdapter &below, const Subschema &schema, const char *name, const char *parent) {
        if (conforms(below, schema, expressions)) return true;
        Explanation deeper(below, expressions);
        if (deeper.examine(schema)) deeper.blame(parent);
        if (name) append(name);
        pointer += deeper.pointer;
        keyword = deeper.keyword;
        return false;
    }
};

// As much as there is room for, cut between characters.
void copy(const std::string &text, char *place, size_t room) {
    static const char more[] = "…";
    if (text.size() < room) {
        std::memcpy(place, text.c_str(), text.size() + 1);
        return;
    }
    size_t length = room - sizeof more;
    while (length > 0 && (text[length] & 0xC0) == 0x80) length--;
    std::memcpy(place, text.data(), length);
    std::memcpy(place + length, more, sizeof more);
}

struct RunScope {
    explicit RunScope(Run &current) { run = &current; }
    ~RunScope() { run = nullptr; }
};

} // namespace

struct skein_schema {
    valijson::Schema schema;
};

extern "C" skein_schema *skein_schema_compile(const uint8_t *text, size_t length, char *error, size_t room) {
    try {
        json document;
        if (parse(document, text, length) != SKEIN_SCHEMA_CONFORMS) throw std::runtime_error("it is no JSON that can be read");
        auto made = std::make_unique<skein_schema>();
        Builder(made->schema).build(document, made->schema.root(), 0);
        return made.release();
    } catch (const TooDeep &) {
        copy("it is nested too deeply", error, room);
    } catch (const std::exception &problem) {
        copy(problem.what(), error, room);
    } catch (...) {
        copy("it cannot be compiled", error, room);
    }
    return nullptr;
}

extern "C" void skein_schema_destroy(skein_schema *schema) { delete schema; }

extern "C" skein_schema_result skein_schema_check(
    const skein_schema *schema, const uint8_t *text, size_t length, skein_schema_matcher matcher, const void *context,
    skein_schema_violation *violation) {
    try {
        json document;
        skein_schema_result result = parse(document, text, length);
        if (result != SKEIN_SCHEMA_CONFORMS) return result;
        Run checking{matcher, context};
        RunScope scope(checking);
        Expressions expressions;
        const NlohmannJsonAdapter value(document);
        if (conforms(value, schema->schema, expressions)) return SKEIN_SCHEMA_CONFORMS;
        Explanation explanation(value, expressions);
        // That it does not conform is known, so what it costs to say why counts for itself.
        checking.steps = 0;
        try {
            explanation.examine(schema->schema);
        } catch (const TooLarge &) {
        }
        copy(explanation.keyword, violation->keyword, sizeof violation->keyword);
        copy(explanation.pointer, violation->pointer, sizeof violation->pointer);
        return SKEIN_SCHEMA_VIOLATES;
    } catch (const TooLarge &) {
        return SKEIN_SCHEMA_TOO_LARGE;
    } catch (...) {
        return SKEIN_SCHEMA_FAILED;
    }
}
