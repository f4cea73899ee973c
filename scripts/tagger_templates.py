"""Sentences with places for names {P}, addresses {A}, organisations {O} and what is none of them; written for the tagger."""

from __future__ import annotations

ENGLISH = """Dear {P},
Hi {P}, thanks for your message about the {l}.
Hello {F}, could you send me the {l} by {D}?
Good morning {T} {L}, your {l} is ready.
My name is {P}.
I am {P} and I want to close my {l}.
This is {P} from {O}.
This is {F} calling about the {l}.
Please contact {P} at {O}.
Please speak to {P} in the {X} department.
{P} called about the {l} yesterday.
{P} works for {O}.
{P}, {X} at {O}, signed the {l}.
{P} said the {l} was late.
"We are happy with the {l}," said {P}.
According to {P}, the {l} will not change before {D}.
{O} announced a new {l} on {D}.
{O} is a {l} company based in {C}.
{O} and {O} will merge, {P} told reporters.
Shares of {O} fell after the {l} of {D}.
The head of {O}, {P}, lives in {C}.
I work at {O}.
I used to work for {O} before I moved to {C}.
I bought it from {O} in {D}.
Have you heard of {O}?
The {O} office in {C} is closed on {D}.
We have a contract with {O} for the {l}.
The invoice from {O} is wrong.
{O} charged my {X} card twice.
Send the {l} to {A}.
Please deliver the {l} to {P}, {A}.
My address is {A}.
My new address is {A}, please update it.
I live at {A}.
I moved from {A} to {A}.
{P} lives at {A}.
{P} moved to {A} last {l}.
The office is located at {A}.
Meet me at {A} at {n} o'clock.
We are meeting at {A}, next to the {l}.
The {l} is at {A}.
Where is the {l}? It is at {A}.
You will find us at {A}.
Come to {A} before noon.
Billing address: {A}
Shipping address:\n{A}
Name: {P}\nAddress: {A}
Name: {P}\nCompany: {O}\nPhone: {N}
Customer: {P}; order {n}
From: {P}\nTo: {P}\nSubject: {l}
{P}\n{A}
{P}\n{O}\n{A}
{O}\n{A}
{P}\n{X}\n{O}
> {P}\n> {O}\n> {A}
Best regards,\n{P}
Kind regards, {P}\n{X}, {O}
Yours sincerely\n{P}
Signed: {P}
Ask {F} about the {l}.
{F} and {F} went to {C}.
Can {F} and {P} come on {D}?
I met {P} and {P} in {C}.
They are {P}, {P} and {P}.
The speakers are {P}, {P}, {P} and {P}.
{P}'s {l} has expired.
It belongs to {P}.
The {l} is under {P}.
The account holder is {P}, the second one {P}.
Please add {P} to my {l}.
Please remove my {l} {P} from the list.
I want to name {P} as my beneficiary.
My {l} is called {P}.
Her mother was {P}, born {L}.
He is known as {F}.
Everybody calls me {F}.
What is your name? {P}
Who is it? It's {P}.
Is {F} there?
{F}, can you hear me?
Why is {F} so late?
{F} is a good {l}.
{T} {L} is {n} years old.
{T} {P} from {C} would like an appointment.
{T} {L} will see you on {D}.
I spoke with {T} {L} of {O}.
The patient, {P}, was born in {C}.
{P} was appointed {X} of {O}.
The {l} directed by {P} stars {P} and {P}.
The {l} was written by {P} in {n}.
A song by {P}.
{P} plays for {O}.
The novel by {P} is about a {l} in {C}.
{P} studied at {O}.
{P} founded {O} in {n}.
{P} left {O} for {O}.
{O} hired {P} as {X}.
The bus stops at {A}.
Turn left at {A}.
The fire started at {A}.
Send the taxi to {A}, please.
Deliver to: {A}, attention {P}.
Return it to {A} within {n} days.
Between {A} and {A}.
Our branch at {A} opens on {D}.
{F} has been waiting for {n} minutes.
Forward it to {P} ({O}).
{P} ({X}, {O})
Thank you, {F}!
{F}!
{P}: where is the {l}?
{P}: I sent it to {F}.
Why was my {l} declined?
How do I reset the PIN of my {X} {l}?
I need a new {l} before {D}.
My {l} from {C} has not arrived.
What is the {l} for a {X} {l}?
The {X} {l} costs {n} {X}.
I lost my {X} card in {C}.
Can I use {X} on {X}?
We went to {C} in {D}.
I am from {C}.
I am {X} but I live in {C}.
{C} is beautiful in {D}.
The flight from {C} to {C} leaves at {n}.
The {X} government in {C} said no.
Is the {l} open on {D}?
{X} is better than {X}.
{X} {l} please
Please cancel my {l}.
I would like to talk to a person about the {l}.
The {l} is {n} days late.
NOTE: the {l} is closed.
Do you accept {X}?
PLEASE HELP ME WITH MY {U}
WHERE IS MY {U}
Your ticket number is {n}.
Great {l}, bad {l}.
Words like {X} and {X} are no names.
Love this {l}!
Sales rose {n} % to EUR {n} mn in {D}.
Net profit was EUR {n} million, compared with {n} a year earlier.
The price is ${n}.
You charged me £{n} extra.
It costs {n} EUR and {n} USD.
Operating profit fell to {n} from {n}.
Status of my {l}?
Will my {l} arrive today?
Did you get my {l}?
Is it still {X}?
Still no {l}.
Hey, is the {l} ok?
Why does {X} not work?
Top up of {n} {X} failed.
{X} Ruble and {X} Dollar
Help with {X} please
The company said the {l} in {C} would close in {D}.
Demand for the {l} is growing in {C} and {C}.
In {D} the {l} grew by {n} %.
The board proposes a {l} of EUR {n} per share.
What Is The {U}?
Can You Help Me With My {l}?
No, thanks. Yes, please. OK.
It was a good {l}, but the {l} was cold.
Verify my identity
Exchange rates in {C}
Where do I find the {X} app?
Staff friendly, {l} clean, {l} expensive.""".split("\n")

CHINESE = """您好，我是{P}。
我叫{P}，想查询{l}。
{P}您好，您的{l}已到。
请联系{P}，电话{N}。
请转告{S}先生，{l}已经寄出。
{S}女士，您的{l}已经办好。
{S}经理说{l}明天发货。
{S}总，{O}的合同已经签了。
联系人：{P}
收货人：{P}，地址：{A}
姓名：{P} 地址：{A} 电话：{N}
收件地址：{A}，收件人{P}
请把{l}寄到{A}。
我住在{A}。
我家在{A}，麻烦送货上门。
我的地址改成{A}了。
送到{A}就行，谢谢。
我们公司在{A}。
{O}位于{A}。
{O}的地址是{A}
我在{O}工作。
我是{O}的{P}。
我们和{O}签了合同。
{O}宣布推出新的{l}。
{O}总经理{P}表示，{l}将于{D}上市。
{O}董事长{P}在会上说，{l}增长很快。
据{O}介绍，{l}已经恢复。
{P}毕业于{O}。
{P}先生是{O}的创始人。
{P}和{P}一起去了{C}。
{P}、{P}、{P}参加了会议。
记者{P}从{C}报道。
{P}认为，{l}不会涨价。
{P}说：“{l}太慢了。”
{O}与{O}达成合作。
{O}股价{D}下跌。
昨天在{O}买的{l}有问题。
{O}的{l}服务态度很差。
把发票开给{O}，税号另发。
客户{P}投诉{l}。
投保人{P}，受益人{P}。
患者{P}，男，{n}岁。
原告{P}，住{A}。
被告{O}，法定代表人{P}。
房东{P}要求涨租。
我儿子{P}在{O}上学。
快递员{P}态度很好。
司机{S}师傅到了{A}。
在{A}附近有家店。
{C}的天气很好。
从{C}到{C}的高铁几点发车？
我想去{C}旅游。
{l}什么时候到？
我的{l}怎么还没有到？
请问如何修改{l}的密码？
这家店的{l}很好吃，送得也快。
{l}质量不错，就是有点贵。
味道一般，{l}太少了。
房间很大，{l}也很干净。
早餐不错，服务员很热情。
已经等了{n}分钟，还没有人来。
客服电话一直打不通。
{D}的{l}取消了。
退款{n}元什么时候到账？
卡号忘了怎么办？
手机屏幕碎了，能换吗？
书的内容很好，印刷也清楚。
老师讲得很好，孩子很喜欢。
用了三天就坏了，差评。
包装破损，里面的{l}漏了。
位置很好，出门就是地铁，交通方便。
离火车站比较近，走路{n}分钟。
酒店设施有点旧，但是卫生还可以。
前台态度冷淡，等了很久才办好入住。
房间隔音不好，晚上听得见外面的声音。
床很舒服，就是空调太吵。
性价比很高，下次还会再来。
总体来说还不错，推荐给大家。
网速很慢，几乎不能上网。
早餐种类少，味道也很普通。
停车不方便，周围比较乱。
服务员说没有房间了，要加钱。
卫生间很小，热水不够。
插座太少，没有电梯。
看了大家的评论才买的，结果很失望。
这个价格能买到这样的质量，很满意。
颜色和图片不一样，尺码偏小。
穿了两天就开线了，不值这个价。
洗完头发很顺，味道也好闻。
水果很新鲜，个头也大。
有几个坏的，客服给退了钱。
屏幕清楚，反应也快，电池差一点。
用起来很顺手，开机很快。
键盘手感一般，散热不好。
外卖送晚了一个小时，菜都凉了。
米饭太硬，菜太咸，肉很少。
汤洒了一半，包装要改进。
分量足，味道正宗，老板人好。
小哥很辛苦，下雨天还准时送到。
订了两份只送来一份，打电话没人接。
故事很感人，值得一看。
内容太浅，适合初学者。
纸张很薄，有错别字。
怎么取消自动续费？
我想问一下什么时候能退款。
验证码收不到怎么办？
为什么我的额度降低了？
可以分期付款吗，利息多少？
提前还款要收手续费吗？
登录不上，一直提示密码错误。
转账失败了，钱什么时候退回来？
公司今年的收入增长了百分之{n}。
市场预计下半年价格会下降。
专家认为政策还会调整。
球队昨天以{n}比{n}赢了比赛。
这部电影的票房超过了{n}亿元。
游戏更新以后经常闪退。
政府表示将加强管理。
我们觉得还可以再便宜一点。""".split("\n")
CHINESE_THINGS = "订单 快递 包裹 账户 贷款 信用卡 保险 合同 发票 退款 会员 手机 电脑 衣服 鞋子 面膜 洗发水 牛肉面 炒饭 奶茶 套餐 酒店 房间 会议 报告 项目 工资 社保 系统 软件 密码 机票 门票 药品 水果 蔬菜 牛奶 书".split()
